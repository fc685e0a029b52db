"""The door of the container action: hands the arguments and the environment to the program."""

import os
import sys

from ign_deploy.__main__ import container_main as main

if __name__ == "__main__":
    sys.exit(main(sys.argv, os.environ))
