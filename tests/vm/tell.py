"""A plugin of pytest's: each failure is told when it happens.

At its limit the machine is switched off, and pytest's own summary never comes.
"""

import pytest


class Teller:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter:
            reporter.write_line("")
            reporter.write_line(f"{report.nodeid} ({report.when}):\n{report.longreprtext}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # where xdist's workers report to
        config.pluginmanager.register(Teller(config))
