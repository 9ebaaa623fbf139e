"""Network families, one per module. Importing this package imports them all, which registers them.

A new network is a new module here; nothing else has to name it.
"""

import importlib
import pkgutil

for _name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_name}")
