"""A Neo4j server of its own, for tests and for `make neo4j`.

Where there is no Docker engine the Community server is put together from Maven Central: Maven resolves its
jars once into a cache outside the repository, and Java 17 runs them with a home that lasts as long as the
server. Started as a module it serves a person until Ctrl-C.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import neo4j
from filelock import FileLock

VERSION = "5.26.30"
IMAGE = "neo4j:5.26-community"
USER = "neo4j"
MEMORY_MB = 512
START_SECONDS = 120
MARK = "RingfenceTests"
"""Label of the node that says that a database is for tests."""

INSTALL = "sudo apt-get install openjdk-17-jre-headless maven"

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringfence</groupId><artifactId>neo4j-server</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{VERSION}</version></dependency>
    <dependency>
      <groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{VERSION}</version>
    </dependency>
  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
    <version>3.8.1</version>
    <executions><execution>
      <id>lib</id><phase>package</phase><goals><goal>copy-dependencies</goal></goals>
      <configuration>
        <outputDirectory>${{project.basedir}}/lib</outputDirectory><includeScope>runtime</includeScope>
      </configuration>
    </execution></executions>
  </plugin></plugins></build>
</project>
"""
_CONF = """server.bolt.listen_address=127.0.0.1:{port}
server.bolt.advertised_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
dbms.security.auth_enabled=true
dbms.usage_report.enabled=false
server.memory.pagecache.size={pagecache}m
db.tx_log.rotation.retention_policy=2 files
db.tx_log.preallocate=false
db.shutdown_transaction_end_timeout=0s
internal.server.bolt.thread_pool_shutdown_wait_time=100ms
internal.server.bolt.connection_shutdown_wait_time=100ms
"""
_JAVA = (
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+TrustFinalNonStaticFields",
    "-XX:+DisableExplicitGC",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.leakDetection.level=DISABLED",
    "-Dlog4j2.disable.jmx=true",
    "-Dfile.encoding=UTF-8",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)
_LASTING = ("-XX:+UseG1GC",)
_BRIEF = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For a server that lives for a minute: less time goes into compiling than is saved by it."""

# Java dies with whoever holds the other end of standard input, also when that is killed.
_LEASH = (
    'exec 3<&0; pidfile=$1; shift; "$@" </dev/null & java=$!; echo $java >"$pidfile"; '
    "(cat <&3 >/dev/null; kill $java 2>/dev/null) & wait $java"
)


class UnavailableError(Exception):
    """There is no way to start a server here; the message says what to install."""


class Server(Protocol):
    """A running server that nobody else uses."""

    uri: str
    password: str

    def start(self) -> None:
        """Start it, or start it again with the data that it had."""

    def stop(self) -> None:
        """Stop it in an orderly way."""

    def remove(self) -> None:
        """Stop it and forget its data."""


@dataclass(frozen=True)
class Database:
    """The server of the tests; `server` is None where it is somebody else's, whom no test may stop."""

    variables: Mapping[str, str]
    server: Server | None

    @property
    def uri(self) -> str:
        return self.variables["NEO4J_URI"]

    def driver(self) -> neo4j.Driver:
        """A driver of one's own, to look behind the store's back."""
        auth = (self.variables["NEO4J_USER"], self.variables["NEO4J_PASSWORD"])
        return neo4j.GraphDatabase.driver(self.uri, auth=auth, notifications_min_severity="OFF")

    def run(self, text: str, **parameters: object) -> list[list[object]]:
        """The rows of a statement."""
        with self.driver() as driver, driver.session(database=self.variables["NEO4J_DATABASE"]) as session:
            return session.run(text, parameters).values()

    def claim(self) -> None:
        """Refuse a database that holds anything but what tests left there: they remove all of it."""
        every, marked = self.run(
            f"RETURN COUNT {{ MATCH (n) RETURN n }}, COUNT {{ MATCH (m:{MARK}) RETURN m }}"
        )[0]
        if every and not marked:
            raise RuntimeError(f"the database at {self.uri} is not empty: tests would remove what it holds")
        self.run(f"MERGE (:{MARK})")

    def clear(self) -> None:
        """Remove what the last test left."""
        self.run(f"MATCH (n) WHERE NOT n:{MARK} CALL (n) {{ DETACH DELETE n }} IN TRANSACTIONS OF 10000 ROWS")


def new_server(memory_mb: int = MEMORY_MB, *, brief: bool = True) -> Server:
    """A server that is not yet started: in Docker if there is an engine, else from Maven Central's jars.

    `brief` starts a server sooner that is slower later on. Raises UnavailableError where neither is possible.
    """
    if _docker():
        return DockerServer()
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"no Docker engine, and no {' and no '.join(missing)}: {INSTALL}")
    return JavaServer(memory_mb, brief=brief)


def environment(server: Server) -> dict[str, str]:
    """The variables that make Ringfence use a server."""
    return {"NEO4J_URI": server.uri, "NEO4J_USER": USER, "NEO4J_PASSWORD": server.password}


class JavaServer:
    """A server made of jars, with a home in a temporary folder."""

    def __init__(self, memory_mb: int = MEMORY_MB, *, brief: bool = True) -> None:
        self.password = secrets.token_hex(12)
        self._port = _free_port()
        self.uri = f"bolt://127.0.0.1:{self._port}"
        self._memory_mb = memory_mb
        self._options = (*(_BRIEF if brief else _LASTING), *_JAVA)
        self._home = Path(tempfile.mkdtemp(prefix="ringfence-neo4j-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._initialised = False
        self._write_configuration(brief=brief)
        atexit.register(self.remove)

    def start(self) -> None:
        """See `Server.start`."""
        if self._process is not None:
            return
        jars = _jars()
        options = [f"-Xms{self._memory_mb // 2}m", f"-Xmx{self._memory_mb}m", *self._options]
        arguments = [f"--home-dir={self._home}", f"--config-dir={self._home}/conf", "--console-mode"]
        main = ["-cp", f"{jars}/*", "org.neo4j.server.CommunityEntryPoint", *arguments]
        leash = ["sh", "-c", _LEASH, "neo4j", str(self._home / "java.pid"), "java", *options, *main]
        with (self._home / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                leash, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """See `Server.stop`."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, ValueError, FileNotFoundError):
            os.kill(int((self._home / "java.pid").read_text()), signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process = None

    def remove(self) -> None:
        """See `Server.remove`."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _write_configuration(self, *, brief: bool) -> None:
        conf = self._home / "conf"
        conf.mkdir()
        text = _CONF.format(port=self._port, pagecache=max(64, self._memory_mb // 4))
        if brief:  # each test changes all statistics: plans would be made anew all the time
            text += "dbms.cypher.min_replan_interval=1d\n"
        (conf / "neo4j.conf").write_text(text)

    def _wait(self) -> None:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while not _listens(self._port):
            if self._process.poll() is not None or time.monotonic() > until:
                log = (self._home / "console.log").read_text(errors="replace")
                raise RuntimeError(f"Neo4j did not start:\n{log[-3000:]}")
            time.sleep(0.05)
        if not self._initialised:
            _set_password(self.uri, self.password)
            self._initialised = True


class DockerServer:
    """A server in a container."""

    def __init__(self) -> None:
        self.password = secrets.token_hex(12)
        self._port = _free_port()
        self.uri = f"bolt://127.0.0.1:{self._port}"
        self._name = f"ringfence-neo4j-{self._port}"
        self._created = False
        atexit.register(self.remove)

    def start(self) -> None:
        """See `Server.start`."""
        if self._created:
            _run_docker("start", self._name)
        else:
            memory = ("server.memory.heap.max__size=512m", "server.memory.pagecache.size=128m")
            settings = [f"NEO4J_{text.replace('.', '_')}" for text in memory]
            variables = [f"NEO4J_AUTH={USER}/{self.password}", *settings]
            flags = [flag for variable in variables for flag in ("--env", variable)]
            port = f"127.0.0.1:{self._port}:7687"
            _run_docker("run", "--detach", "--name", self._name, "--publish", port, *flags, IMAGE)
            self._created = True
        _wait_for(self.uri, self.password)

    def stop(self) -> None:
        """See `Server.stop`."""
        if self._created:
            _run_docker("stop", "--time", "20", self._name)

    def remove(self) -> None:
        """See `Server.remove`."""
        if self._created:
            _run_docker("rm", "--force", "--volumes", self._name)
            self._created = False


def _docker() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=30)
    return asked.returncode == 0


def _run_docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]} failed: {done.stderr.strip()}")


def _jars() -> Path:
    """The folder of the server's jars, resolved by Maven on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "ringfence" / f"neo4j-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder / "lib", ignore_errors=True)
            (folder / "pom.xml").write_text(_POM)
            command = ["mvn", "-B", "-q", "-f", str(folder / "pom.xml"), "package"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(
                    f"Maven cannot get Neo4j {VERSION}:\n{(done.stdout + done.stderr)[-3000:]}"
                )
            (folder / "complete").touch()
    return folder / "lib"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _set_password(uri: str, password: str) -> None:
    with neo4j.GraphDatabase.driver(uri, auth=(USER, "neo4j")) as driver:
        driver.execute_query(
            "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password",
            {"password": password},
            database_="system",
        )
    _wait_for(uri, password)


def _wait_for(uri: str, password: str) -> None:
    """Until the database answers."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with (
                neo4j.GraphDatabase.driver(uri, auth=(USER, password)) as driver,
                driver.session() as session,
            ):
                session.run("RETURN 1").consume()
                return
        except (neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def describe(variables: Mapping[str, str]) -> str:
    """What a person types to use the server."""
    lines = [f"export {name}={value}" for name, value in variables.items()]
    return "\n".join([*lines, "ringfence run --store neo4j"])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Serve until Ctrl-C; 1 where no server can be started."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        server = new_server(memory_mb=1024, brief=False)
        _say(f"Starting Neo4j {VERSION} (the first time its jars are fetched, 130 MB) ...")
        server.start()
    except (UnavailableError, RuntimeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    _say(f"\nNeo4j listens at {server.uri} (user {USER}, password {server.password}).\n")
    _say(f"{describe(environment(server))}\n\nCtrl-C stops it and removes its data.")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    server.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
