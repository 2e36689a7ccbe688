"""BicycleGAN Studio: `python app.py`, and the entry of a Hugging Face Space."""

import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing leaves the machine at start-up
if "SPACE_ID" in os.environ:
    import spaces  # noqa: F401  must come before torch on a Space with a shared GPU


def main() -> None:
    """Read flags and environment, build, serve."""
    import tyro

    from bicyclegan.errors import UserError
    from bicyclegan.ui.app import launch
    from bicyclegan.ui.settings import Settings

    try:
        settings = tyro.cli(Settings, prog="python app.py", config=(tyro.conf.FlagCreatePairsOff,))
        launch(settings)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
