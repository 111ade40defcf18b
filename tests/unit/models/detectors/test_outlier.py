"""Which single values are odd, and how that is said."""

from datetime import timedelta

from models.detectors.outlier import Outlier
from models.detectors.robust import RobustThreshold
from models.detectors.seasonal import SeasonalBaseline
from tests.unit.models.detectors.series import START, Rows, after, daily, observed, steady

ODD = 0.66


def test_a_value_far_from_the_level_is_odd() -> None:
    """Ten times the level scores above two margins; the values around it do not."""
    calm = steady(100)
    findings = observed(RobustThreshold(), calm + after(calm, 500.0))

    assert findings[-1].score > ODD
    assert max(finding.score for finding in findings[:-1]) < 0.5


def test_a_reason_says_the_value_and_the_usual_range() -> None:
    """The reason holds the value and the range that four of five values keep within."""
    calm: Rows = [(START + timedelta(hours=number), 100.0 + number % 5) for number in range(60)]
    (finding,) = observed(RobustThreshold(), calm + after(calm, 412.0))[-1:]

    assert finding.reasons == ("412 against a usual 100 to 104",)


def test_a_steady_series_does_not_cry_over_a_hair() -> None:
    """A move by a tenth is within the margin, however steady the series was."""
    calm: Rows = [(START + timedelta(hours=number), 100.0 + 0.01 * (number % 2)) for number in range(200)]

    assert observed(RobustThreshold(), calm + after(calm, 110.0))[-1].score < 0.5


def test_a_fall_to_nothing_is_odd() -> None:
    """Zero after values around fifty is as odd as many times fifty."""
    calm = steady(100)

    assert observed(RobustThreshold(), calm + after(calm, 0.0))[-1].score > ODD


def test_outliers_do_not_hide_the_next() -> None:
    """After ten outliers in a hundred values the next one is still odd."""
    calm = steady(200)
    spiky = [(at, 400.0 if number > 100 and number % 10 == 0 else value) for number, (at, value) in enumerate(calm)]

    assert observed(RobustThreshold(), spiky + after(spiky, 400.0))[-1].score > ODD


def test_a_series_that_stands_still_may_move_as_it_does() -> None:
    """Where most values are zero, bursts of the usual height are not odd, and one of ten times the height is."""
    bursts: Rows = [(START + timedelta(hours=number), 50.0 if number % 12 == 0 else 0.0) for number in range(200)]
    usual, huge = observed(RobustThreshold(), bursts + after(bursts, 50.0, 500.0))[-2:]

    assert usual.score < 0.5
    assert huge.score > ODD


def test_a_value_usual_by_day_is_odd_by_night() -> None:
    """After two weeks the peak value of the day is odd at the hour of the trough, and the reason names the hour."""
    known = daily(15)
    detector = SeasonalBaseline()
    findings = observed(detector, known + after(known, 300.0))

    assert findings[-1].score > ODD
    assert findings[-1].reasons[0].startswith("300 against a usual ")
    assert findings[-1].reasons[0].endswith(" at this hour")
    assert max(finding.score for finding in findings[:-1]) < 0.5


def test_the_hour_is_not_judged_before_two_weeks() -> None:
    """A value odd for its hour scores nothing while the series is a week old."""
    known = daily(7)

    assert observed(SeasonalBaseline(), known + after(known, 300.0))[-1].score == 0


def test_a_weekday_is_compared_with_its_own_kind() -> None:
    """Weekends that always differ from weekdays are not odd after the first two of them."""
    rows = [(at, value if at.weekday() < 5 else 30.0) for at, value in daily(35) if value is not None]
    findings = observed(SeasonalBaseline(), rows)

    assert max(finding.score for finding in findings[21 * 24 :]) < 0.5


def test_a_holiday_does_not_spoil_the_days_after() -> None:
    """One quiet day makes no later ordinary day odd."""
    rows = [(at, 30.0 if at.date() == (START + timedelta(days=20)).date() else value) for at, value in daily(30)]
    findings = observed(SeasonalBaseline(), rows)

    assert max(finding.score for finding in findings[20 * 24 : 21 * 24]) > ODD
    assert max(finding.score for finding in findings[21 * 24 :]) < 0.5


def test_the_odder_view_speaks() -> None:
    """The outlier detector scores what the stronger of its two views scores."""
    rows = daily(16) + after(daily(16), 300.0, 5_000.0)
    views = (observed(RobustThreshold(), rows), observed(SeasonalBaseline(), rows))

    assert [each.score for each in observed(Outlier(), rows)] == [max(a.score, b.score) for a, b in zip(*views, strict=True)]
