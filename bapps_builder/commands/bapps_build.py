"""The command `bapps-build`."""

import click

from bapps_builder.commands.build_and_append import append_command, build_command
from bapps_builder.commands.publish_and_download import download_command, publish_command
from bapps_builder.commands.verify_and_info import info_command, verify_command


@click.group()
def build() -> None:
    """From answers to a dataset in the BAPPS layout; checking, publishing and downloading datasets."""


for command in (build_command, append_command, verify_command, info_command, publish_command, download_command):
    build.add_command(command)
