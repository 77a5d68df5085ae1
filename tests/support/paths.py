"""Where tests find files of the project, and what lies beside a checkout."""

from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
FIXTURES = TESTS / "fixtures"
EXAMPLES = ROOT / "assets" / "examples"
SHARED = ROOT.parent / "shared"
