"""dns01's configuration files, written from Python values."""


def text_of(value):
    """One value as libconfig reads it: a list of lists or of groups stands
    in round brackets, any other list in square ones."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {text_of(v)};"
                               for k, v in value.items()) + " }"
    items = ", ".join(text_of(v) for v in value)
    nested = any(isinstance(v, (dict, list, tuple)) for v in value)
    return f"( {items} )" if nested else f"[ {items} ]"


def config_text(**settings):
    """A whole configuration: config_text(accounts=[{...}], ...)."""
    return "".join(f"{name} = {text_of(value)};\n"
                   for name, value in settings.items())


def account(pebble, **more):
    """The account at a Pebble."""
    return {"name": "pebble", "directory": pebble.directory,
            "ca_file": pebble.ca_root, "agree_tos": True, **more}


def rfc2136(site, name="primary", **more):
    """The provider that updates a site's primary with the site's key."""
    return {"name": name, "type": "rfc2136", "server": site.address,
            "tsig_key_file": site.key.path, **more}


def zone(suffix, provider="primary", **more):
    return {"suffix": suffix, "providers": [provider], **more}


def certificate(*names, lineage="test", **more):
    return {"name": lineage, "names": list(names), **more}


def write_config(bed, name="dns01.conf", **settings):
    """Writes a configuration with the bed's state folder; its path."""
    settings.setdefault("state", bed.state())
    return bed.write(name, config_text(**settings))


def site_config(bed, pebble, site, *names, zone_settings=None, state=None,
                provider_settings=None, **certificate_settings):
    """One account, one provider, all zones of the site, one certificate for
    the names; the path of the file."""
    return write_config(
        bed, state=state or bed.state(), accounts=[account(pebble)],
        providers=[rfc2136(site, **(provider_settings or {}))],
        zones=[zone(z.name, **(zone_settings or {})) for z in site.zones],
        certificates=[certificate(*names, **certificate_settings)])
