"""python -m bicyclegan <command>"""

from bicyclegan.cli import main

if __name__ == "__main__":
    main()
