"""The detectors: a file each, all of one contract, each registered under the name of its file."""

from models.detectors.burst import Burst
from models.detectors.contract import Detector
from models.detectors.departure import Departure
from models.detectors.forest import Forest
from models.detectors.jumps import Jumps
from models.detectors.outlier import Outlier
from models.detectors.robust import RobustThreshold
from models.detectors.seasonal import SeasonalBaseline

SERIES: dict[str, type[Detector]] = {
    "burst": Burst,
    "departure": Departure,
    "outlier": Outlier,
    "robust": RobustThreshold,
    "seasonal": SeasonalBaseline,
}
"""Of one series: a row is one value."""

ROWS: dict[str, type[Detector]] = {"forest": Forest, "jumps": Jumps}
"""Of many metrics, after `fit` on rows of the past."""

DETECTORS: dict[str, type[Detector]] = SERIES | ROWS
"""Every detector by its name, which its state is kept under."""
