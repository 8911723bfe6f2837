"""
bt: a library in Java, by a program of ours that is its README's example. https://github.com/atomashpolskiy/bt

Its packages are Maven Central's; its DHT is one of its own, which is left out. Obfuscation (MSE) is off: the seeders
take plain text. When it has a connection, one of its threads spins in SharedSelector.wakeupAndRegister until another
happens to let it go on: 0.04 to 5 s in ten heats, on two busy cores. After 10 s the seeder hangs up, and Bt is back
30 s later.
"""

from btgames.contract import Command, Host, Torrent, apt

TITLE = "Bt"
HOME = "https://github.com/atomashpolskiy/bt"
LANGUAGE = "Java"
LICENCE = "Apache-2.0"
YEAR = 2016
UTP = False

DRIVER = """
public final class Driver {
    public static void main(String[] arguments) throws Exception {
        var config = new bt.runtime.Config();
        config.setMseDisabled(true);
        bt.Bt.client()
            .config(config)
            .autoLoadModules()
            .storage(new bt.data.file.FileSystemStorage(java.nio.file.Path.of(arguments[1])))
            .torrent(java.nio.file.Path.of(arguments[0]).toUri().toURL())
            .stopWhenDownloaded()
            .build().startAsync().join();
    }
}
"""
PROJECT = """<project>
<modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies>
{}
</dependencies></project>"""
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"


def install(host: Host, version: str = "1.10") -> None:
    apt(host, "default-jdk-headless", "maven", program="javac")
    apt(host, "default-jdk-headless", "maven", program="mvn")
    packages = [("com.github.atomashpolskiy", f"bt-{part}", version) for part in ("core", "http-tracker-client")]
    packages.append(("org.slf4j", "slf4j-nop", "1.7.36"))  # which drops what it logs
    host.put(PROJECT.format("\n".join(DEPENDENCY.format(*each) for each in packages)), "pom.xml")
    host.run("mvn", "--batch-mode", "--quiet", "-Dmaven.repo.local=build", COPY, "-DoutputDirectory=lib")
    host.run("rm", "-rf", "build")
    host.run("javac", "-cp", "lib/*", "-d", "lib", host.put(DRIVER, "Driver.java"))
    host.put('#!/bin/sh\nexec java -cp "$INSTALLED/lib/*:$INSTALLED/lib" Driver "$@"\n', "bin/bt", mode=0o755)


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("bt", torrentfile, into)
