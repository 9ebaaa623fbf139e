"""Bundled weights by name, their model cards, and opening any model.

The weights of the model ``architecture@recipe`` are ``weights/architecture__recipe.bhr``; beside
them lies the model card ``architecture__recipe.md``, whose YAML front matter holds the fields of
`ModelCard`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bihrnet.errors import BihrnetError, shortened
from bihrnet.model import HeatmapModel
from bihrnet.yaml_files import read_front_matter

WEIGHTS = Path(__file__).parent / "weights"

ENGINE_SUFFIX = ".bhr"
CHECKPOINT_SUFFIXES = (".ckpt", ".pth")


@dataclass(frozen=True)
class ModelCard:
    """Facts about bundled weights, from the front matter of their model card.

    Attributes:
        name: `architecture@recipe`.
        path: the `.bhr` file.
        skeleton: name of the keypoint set.
        input_size: "256x192", height first.
        measured_on: data that the metrics were measured on, for instance "lspet val".
        licence: of the weights.
        metrics: by name, as in the JSON of `bihrnet evaluate`.
        default: whether `load()` without a name opens these weights.
    """

    name: str
    path: Path
    skeleton: str
    input_size: str
    measured_on: str
    licence: str
    metrics: dict[str, float] = field(default_factory=dict)
    default: bool = False


def load(
    source: str | Path | HeatmapModel | None = None, *, threads: int | None = None
) -> HeatmapModel:
    """Open a model: ``model(crops) -> heatmaps``, see `HeatmapModel`.

    Args:
        source: a bundled name (`list_models`), a `.bhr` file, a checkpoint file, or a model, which
            is returned as it is; None for the bundled default.
        threads: of the engine, for a bundled name or a `.bhr` file; None for all cores.

    Raises:
        BihrnetError: unknown name, missing or broken file, or PyTorch is needed and missing.
    """
    if source is not None and not isinstance(source, (str, Path)):
        if not callable(source) or not hasattr(source, "spec"):
            raise BihrnetError(f"a model is a name, a file or a HeatmapModel, not {source!r}")
        return source
    path = find_model(source)
    if path.suffix.lower() == ENGINE_SUFFIX:
        return _open_engine(path, threads)
    return _open_checkpoint(path)


def find_model(source: str | Path | None = None) -> Path:
    """The file of a bundled name (None: of the default), or `source` itself if it is a model file.

    Raises:
        BihrnetError: it is neither.
    """
    if source is None:
        return _default().path
    for card in model_cards():
        if card.name == str(source):
            return card.path
    path = Path(source)
    known = (ENGINE_SUFFIX, *CHECKPOINT_SUFFIXES)
    if path.suffix.lower() not in known:
        bundled = ", ".join(list_models()) or "none in this installation"
        raise BihrnetError(
            f"no model {str(source)!r}: give a model file ({', '.join(known)}) or bundled weights "
            f"({bundled})"
        )
    if not path.is_file():
        raise BihrnetError(f"{path}: there is no such file")
    return path


def list_models() -> list[str]:
    """Names of the bundled weights, the default first."""
    return [card.name for card in model_cards()]


def model_cards() -> list[ModelCard]:
    """Cards of the bundled weights, the default first, then by name."""
    cards = [_read_card(path) for path in WEIGHTS.glob("*.md")]
    return sorted(cards, key=lambda card: (not card.default, card.name))


def _default() -> ModelCard:
    cards = model_cards()
    if not cards:
        raise BihrnetError("this installation has no bundled weights; give a model file")
    return cards[0]


def _read_card(path: Path) -> ModelCard:
    """Front matter: YAML between two lines of three dashes at the top."""
    fields = read_front_matter(path)
    if not isinstance(fields, dict):
        raise BihrnetError(f"{path}: its front matter is not a mapping of keys to values")
    name = path.stem.replace("__", "@")
    try:
        return ModelCard(name=name, path=path.with_suffix(ENGINE_SUFFIX), **fields)
    except TypeError as error:  # a field is missing or unknown
        raise BihrnetError(f"{path}: is not a model card: {shortened(str(error), 120)}") from error


def _open_engine(path: Path, threads: int | None) -> HeatmapModel:
    from bihrnet.engine.engine_model import EngineModel  # its binary may be missing

    return EngineModel(path, threads=threads)


def _open_checkpoint(path: Path) -> HeatmapModel:
    try:
        from bihrnet.nn.checkpoint import open_checkpoint
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BihrnetError(
            f"{path}: checkpoints need PyTorch, which is missing: pip install 'bihrnet[train]'"
        ) from None
    return open_checkpoint(path)
