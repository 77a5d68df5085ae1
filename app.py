"""Open the page: drop in a video and see how far its sound is off.

python app.py
python app.py --model audioset --device cuda
python app.py --host 0.0.0.0 --port 8000
"""

import sys

from interface.__main__ import main

if __name__ == "__main__":
    sys.exit(main(program="app.py"))
