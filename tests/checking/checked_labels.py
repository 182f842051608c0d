"""What the tests of `cardpose check` share."""

from support import CARD, FOCAL

from cardpose.checking.check import check
from cardpose.checking.findings import WRONG

STEP = 10
UL_FACE, UR_FACE, UL_BACK, UR_BACK, LL_FACE, LR_FACE, LL_BACK, LR_BACK = range(8)


def findings(dataset, step=STEP):
    def complain(error):
        raise error

    return check(dataset, step, FOCAL, CARD, complain)


def wrong(dataset):
    return [one for one in findings(dataset) if one.level == WRONG]
