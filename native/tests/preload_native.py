"""A pytest plugin: the engine's tests run on another build of the module, see run_sanitizers.sh."""

import importlib.util
import os
import sys

NAME = "bihrnet.engine._native"

spec = importlib.util.spec_from_file_location(NAME, os.environ["BIHRNET_NATIVE_MODULE"])
sys.modules[NAME] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[NAME])
