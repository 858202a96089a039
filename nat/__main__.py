"""``python -m nat`` and the script ``nat``: a command, and in one line what ended it early.

Signals are listened to before anything else is loaded, so that Ctrl-C gives that line at any time.
"""

import sys

from nat.runtime.openmp import spin_shortly


def main() -> None:
    """Run the command that the words of the command line name, and exit."""
    spin_shortly()
    try:
        from nat.runtime.signals import Stopped, deafen, listen, told

        try:
            listen()
            from nat.runtime.boundary import run

            run()
        finally:
            deafen()  # what ends is not to be stopped any more
    except KeyboardInterrupt:  # before `listen`
        print("stopped by Ctrl-C; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    except Stopped as stopped:
        number = stopped.number
    # here nothing holds the frames any more, so that progress bars have ended too
    from nat.runtime.boundary import report

    report(told(number))
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
