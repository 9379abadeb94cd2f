"""The rules. Each gives the problems of one file as "path:line: what"."""

import os
import re

from source import deepest

FUNCTION_LINES_MAX = 80
PARAMETERS_MAX = 5
NESTING_MAX = 3
FILE_LINES_MAX = 800
COLUMNS_MAX = 100

# Nothing includes upward.
LAYERS = (
    ("base", "world.h", "setting", "idn"),
    ("json", "xml", "crypto", "conf", "dns", "http", "world"),
    ("store", "acme", "provider", "rest", "remote", "plugin", "providers"),
    ("challenge",),
    ("issue", "broker"),
    ("import",),
    ("dns01",),
)
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}

# One module for each library.
OWNERS = {
    "ldns/": ("dns",),
    "idn2.h": ("dns",),
    "openssl/": ("crypto",),
    "curl/": ("http",),
    "event": ("world", "http"),
    "jansson": ("json",),
    "sqlite3": ("store",),
    "libconfig": ("conf",),
    "expat": ("xml",),
    "dlfcn.h": ("plugin",),
}


# Contract headers below a module whose sources are in it.
ALSO_OWN = {"conf": ("dns01/setting.h",), "dns": ("dns01/idn.h",)}


def module_of_header(name):
    """Of a contract header's name, as "dns01/dns.h"."""
    stem = name[len("dns01/"):-len(".h")]
    return {"banned": "base", "world": "world.h"}.get(stem, stem)


def module_of(path):
    """The module that a file belongs to; None: a test."""
    parts = path.split(os.sep)
    if parts[0] == "cmd":
        return parts[1]
    if parts[0] == "include":
        return module_of_header("dns01/" + parts[-1])
    return "providers" if parts[0] == "providers" else None


def at(source, line, text):
    return f"{source.path}:{line}: {text}"


def function_lines(source):
    for function in source.functions:
        lines = function.last - function.first + 1
        if lines > FUNCTION_LINES_MAX:
            yield at(source, function.first, f"{function.name}() has {lines} lines")


def parameters(source):
    for function in source.functions:
        if function.parameters > PARAMETERS_MAX:
            yield at(source, function.first,
                     f"{function.name}() has {function.parameters} parameters")


def nesting(source):
    for function in source.functions:
        depth, line = deepest(function)
        if depth > NESTING_MAX:
            yield at(source, line, f"{function.name}() nests {depth} deep")


def file_lines(source):
    if len(source.lines) - 1 > FILE_LINES_MAX:
        yield at(source, 1, f"the file has {len(source.lines) - 1} lines")


def columns(source):
    for number, line in enumerate(source.lines, 1):
        width = len(line.expandtabs(8))
        if width > COLUMNS_MAX:
            yield at(source, number, f"{width} columns")


def braces(source):
    """if, else, for, while and do are followed by a brace."""
    for match in re.finditer(r"\b(if|for|while|else|do)\b", source.code):
        if source.code.rfind("#", source.code.rfind("\n", 0, match.start()) + 1,
                             match.start()) >= 0:
            continue  # a directive of the preprocessor
        rest = source.code[match.end():]
        word = match.group(1)
        if word in ("if", "for", "while"):
            rest = after_parenthesis(rest)
        follows = rest.lstrip()
        ends_do = word == "while" and follows.startswith(";")
        else_if = word == "else" and re.match(r"if\b", follows)
        if not follows.startswith("{") and not ends_do and not else_if:
            yield at(source, source.line_of(match.start()), f"{word} without braces")


def after_parenthesis(text):
    depth = 0
    for offset, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == ")" and depth == 0:
            return text[offset + 1:]
    return text


def line_comments(source):
    for line in source.line_comments:
        yield at(source, line, "// starts a comment; use /* */")


def typedefs(source):
    for match in re.finditer(r"\btypedef\s+(struct|enum|union)\b", source.code):
        head = source.code[match.start():source.code.find(";", match.start())]
        if "(" not in head:  # a function type may return a struct
            yield at(source, source.line_of(match.start()),
                     f"typedef {match.group(1)}; write it out")


def own_header_first(source):
    module = module_of(source.path)
    if not module or not source.path.endswith(".c") or not source.includes:
        return
    system, name = source.includes[0]
    own = {"providers": "dns01/provider.h"}.get(module, f"dns01/{module}.h")
    private = os.path.exists(os.path.join(os.path.dirname(source.path), name))
    has_contract = os.path.exists(os.path.join("include", own))
    owned = name == own or name in ALSO_OWN.get(module, ())
    if system or not (owned or private or not has_contract):
        yield at(source, 1, f"the first include is {name}, not the module's own header")


def includes_base(source):
    """banned.h does its work through base.h."""
    module = module_of(source.path)
    if not module or source.path.endswith(("base.h", "banned.h")):
        return
    if "dns01/banned.h" in [name for _, name in source.includes]:
        yield at(source, 1, "includes banned.h itself; base.h does that")
    if not reaches_base(source.path, set()):
        yield at(source, 1, "does not include dns01/base.h, not even through others")


def reaches_base(path, seen):
    if path in seen or not os.path.exists(path):
        return False
    seen.add(path)
    with open(path, encoding="utf-8") as file:
        names = re.findall(r"^#include \"([^\"]+)\"", file.read(), re.MULTILINE)
    return "dns01/base.h" in names or any(
        reaches_base(os.path.join(folder, name), seen)
        for name in names for folder in ("include", os.path.dirname(path)))


def layers(source):
    module = module_of(source.path)
    if not module:
        return
    if module not in LEVEL:
        yield at(source, 1, f"module {module} has no layer")
        return
    for system, name in source.includes:
        if system:
            continue
        if not name.startswith("dns01/"):
            if "/" in name or module in ("providers",) or source.path.startswith("include"):
                yield at(source, 1, f"includes {name}; only contract headers may be included")
            continue
        other = module_of_header(name)
        if LEVEL.get(other, len(LAYERS)) > LEVEL[module]:
            yield at(source, 1, f"includes {name}, which is above {module}")


def libraries(source):
    module = module_of(source.path)
    if not module:
        return
    for system, name in source.includes:
        for prefix, owners in OWNERS.items():
            contract = source.path.startswith("include")
            if system and name.startswith(prefix) and (module not in owners or contract):
                yield at(source, 1, f"includes <{name}>, which belongs to the sources of "
                         + " and ".join(owners))


def circles(sources):
    """Modules of one layer may stand on each other, but not in a circle."""
    edges = {}
    for source in sources:
        module = module_of(source.path)
        for system, name in source.includes:
            if module and not system and name.startswith("dns01/"):
                other = module_of_header(name)
                if other != module:
                    edges.setdefault(module, set()).add(other)
    problems = []
    for module in sorted(edges):
        if reaches(edges, module, module, set()):
            problems.append(f"module {module} includes itself by way of others: "
                            + ", ".join(sorted(edges[module])))
    return problems


def reaches(edges, start, goal, seen):
    for other in edges.get(start, ()):
        if other == goal:
            return True
        if other not in seen:
            seen.add(other)
            if reaches(edges, other, goal, seen):
                return True
    return False


def leftovers(path):
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if words.search(line):
                yield f"{path}:{number}: {words.search(line).group(1)}"


OF_SOURCE = (
    (f"functions have at most {FUNCTION_LINES_MAX} lines", function_lines),
    (f"functions have at most {PARAMETERS_MAX} parameters", parameters),
    (f"blocks nest at most {NESTING_MAX} deep", nesting),
    (f"files have at most {FILE_LINES_MAX} lines", file_lines),
    (f"lines have at most {COLUMNS_MAX} columns", columns),
    ("control statements have braces", braces),
    ("comments are /* */", line_comments),
    ("structs and enums are written out", typedefs),
    ("each .c includes its own header first", own_header_first),
    ("the banned functions are banned everywhere", includes_base),
    ("nothing includes upward", layers),
    ("each library has one module", libraries),
)
