"""A Kerberos realm of the bed's own: a KDC, principals, keytabs."""

import os
import secrets
import subprocess


class Realm:
    """`env` is what programs need to find it."""

    def __init__(self, bed, name="CORP.EXAMPLE.COM"):
        self.bed = bed
        self.name = name
        self.folder = bed.new_folder("kerberos")
        self.port = bed.port()
        config = f"{self.folder}/krb5.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(
                f"[libdefaults]\n default_realm = {name}\n dns_lookup_kdc = false\n"
                " dns_canonicalize_hostname = false\n rdns = false\n"
                f"[realms]\n {name} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n"
                f"[domain_realm]\n .{name.lower()} = {name}\n")
        with open(f"{self.folder}/kdc.conf", "w", encoding="ascii") as file:
            file.write(
                f"[kdcdefaults]\n kdc_ports = {self.port}\n kdc_tcp_ports = {self.port}\n"
                f"[realms]\n {name} = {{\n  database_name = {self.folder}/principal\n"
                f"  key_stash_file = {self.folder}/stash\n"
                f"  acl_file = {self.folder}/acl\n }}\n")
        self.env = {"KRB5_CONFIG": config, "KRB5_KDC_PROFILE": f"{self.folder}/kdc.conf"}
        self._run("kdb5_util", "create", "-s", "-r", name, "-P", secrets.token_hex(16))

    def _run(self, tool, *arguments):
        return self.bed.run([self.bed.tool(tool), *arguments],
                            env={"PATH": os.environ["PATH"], **self.env})

    def keytab(self, principal):
        """A new principal with a random key; the path of its keytab."""
        path = f"{self.folder}/{principal.replace('/', '-')}.keytab"
        self._run("kadmin.local", "-r", self.name, "-q", f"addprinc -randkey {principal}")
        self._run("kadmin.local", "-r", self.name, "-q", f"ktadd -k {path} {principal}")
        return path

    def start(self):
        process = self.bed.spawn("kdc", [self.bed.tool("krb5kdc"), "-n"], self.folder,
                                 env={**os.environ, **self.env})
        keytab = self.keytab("probe")

        def answers():
            return subprocess.run(
                [self.bed.tool("kinit"), "-k", "-t", keytab, "-c", f"{self.folder}/probe.cache",
                 f"probe@{self.name}"], env={**os.environ, **self.env}, capture_output=True,
                check=False).returncode == 0
        process.wait_ready(answers, "gives tickets")
        return self
