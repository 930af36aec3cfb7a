"""The command `bapps-build`."""

import click

from bapps_builder.build_cli import append_command, build_command
from bapps_builder.release_cli import download_command, publish_command
from bapps_builder.verify_cli import info_command, verify_command


@click.group()
def build() -> None:
    """From answers to a dataset in the BAPPS layout; checking, publishing and downloading datasets."""


for command in (build_command, append_command, verify_command, info_command, publish_command, download_command):
    build.add_command(command)
