"""Real servers on loopback, each on a free port with its files in a folder of the test.

A server is a context manager: it waits until the program answers, and stops the program and all
its children at the end. A missing program fails the test and names the Debian packages.
"""

from tests.support.servers.apache import ApacheServer, apache
from tests.support.servers.lighttpd import lighttpd
from tests.support.servers.moto import moto
from tests.support.servers.nginx import NginxServer, nginx
from tests.support.servers.processes import Credentials
from tests.support.servers.rclone import rclone
from tests.support.servers.registry import RegistryServer, registry
from tests.support.servers.s3 import S3Server, s3_client
from tests.support.servers.sabre import sabre
from tests.support.servers.swift import swift
from tests.support.servers.wsgidav import wsgidav

__all__ = [
    "ApacheServer",
    "Credentials",
    "NginxServer",
    "RegistryServer",
    "S3Server",
    "apache",
    "lighttpd",
    "moto",
    "nginx",
    "rclone",
    "registry",
    "s3_client",
    "sabre",
    "swift",
    "wsgidav",
]
