"""The detectors: a file each, all of one contract, each registered under the name of its file."""

from models.detectors.burst import Burst
from models.detectors.change import Change
from models.detectors.contract import Detector, Learner
from models.detectors.departure import Departure
from models.detectors.duration import Duration
from models.detectors.esd import Esd
from models.detectors.forest import Forest
from models.detectors.freshness import Freshness
from models.detectors.jumps import Jumps
from models.detectors.kde import Kde
from models.detectors.mixture import Mixture
from models.detectors.outlier import Outlier
from models.detectors.robust import RobustThreshold
from models.detectors.seasonal import SeasonalBaseline
from models.detectors.unended import Unended
from models.detectors.volume import Volume
from models.detectors.windows import Windows

SERIES: dict[str, type[Detector]] = {
    "burst": Burst,
    "change": Change,
    "departure": Departure,
    "duration": Duration,
    "esd": Esd,
    "kde": Kde,
    "outlier": Outlier,
    "robust": RobustThreshold,
    "seasonal": SeasonalBaseline,
    "volume": Volume,
    "windows": Windows,
}
"""Of one series: a row is one value."""

ARRIVALS: dict[str, type[Detector]] = {"freshness": Freshness, "unended": Unended}
"""Of what comes or ends: that the value is missing is what they are asked about."""

ROWS: dict[str, type[Detector]] = {"forest": Forest, "jumps": Jumps}
"""Of many metrics, after `fit` on rows of the past."""

DETECTORS: dict[str, type[Learner]] = {**SERIES, **ARRIVALS, **ROWS, "mixture": Mixture}
"""Every detector by its name, which its state is kept under."""
