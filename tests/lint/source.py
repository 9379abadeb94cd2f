"""One C file: its lines, its code without comments and strings, its functions."""

import re

TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+([<\"])([^>\"]+)[>\"]", re.MULTILINE)


def blank(text):
    """Spaces in its place, so that offsets and lines stay."""
    return re.sub(r"[^\n]", " ", text)


class Function:
    """A definition: its brace stands alone in the first column."""

    def __init__(self, name, parameters, first, last, body):
        self.name = name
        self.parameters = parameters
        self.first = first  # line numbers, from 1
        self.last = last
        self.body = body


class Source:
    """A .c or .h file."""

    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        self.line_comments = []
        self.code = TOKEN.sub(self._strip, self.text)
        self.includes = [(kind == "<", name) for kind, name in self._find_includes()]
        self.functions = list(self._find_functions())

    def _strip(self, match):
        token = match.group(0)
        if token.startswith("//"):
            self.line_comments.append(self.line_of(match.start()))
        if token[0] in "\"'":
            return token[0] + blank(token[1:-1]) + token[0]
        return blank(token)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def _find_includes(self):
        commented = re.sub(r"/\*.*?\*/", lambda m: blank(m.group(0)), self.text,
                           flags=re.DOTALL)
        return INCLUDE.findall(commented)

    def _find_functions(self):
        lines = self.code.split("\n")
        for number, line in enumerate(lines):
            if line.rstrip() != "{":
                continue
            top = number
            while top > 0 and lines[top - 1].strip() and lines[top - 1][0] not in "#}":
                top -= 1
            head = "\n".join(lines[top:number])
            name, parameters = parse_head(head)
            end = number
            while end + 1 < len(lines) and not lines[end].startswith("}"):
                end += 1
            if name:
                body = "\n".join(lines[number:end + 1])
                yield Function(name, parameters, top + 1, end + 1, (number + 1, body))


def parse_head(head):
    """Name and number of parameters of what stands before a body."""
    head = re.sub(r"(PRINTF_LIKE|__attribute__)\s*\((?:[^()]|\([^()]*\))*\)+", "", head)
    match = re.search(r"(\w+)\s*\(", head)
    if not match:
        return None, 0
    depth, count, inside = 0, 1, ""
    for char in head[match.end() - 1:]:
        depth += (char == "(") - (char == ")")
        if depth == 0:
            break
        if char == "," and depth == 1:
            count += 1
        inside += char
    inside = inside[1:].strip()
    if inside in ("", "void"):
        return match.group(1), 0
    return match.group(1), count - inside.endswith("...")


def is_control(before):
    """Whether a brace after this text opens a block of if, for, ...: not an initialiser."""
    if not before.endswith(")"):
        return bool(re.search(r"\b(else|do)$", before))
    depth = 0
    for offset in range(len(before) - 1, -1, -1):
        depth += (before[offset] == ")") - (before[offset] == "(")
        if depth == 0:
            return before[:offset].rstrip()[-1:].isalnum()
    return False


def deepest(function):
    """The deepest nesting of control blocks, and its line."""
    first, body = function.body
    stack, best, line = [], 0, first
    for offset, char in enumerate(body):
        if char == "{":
            stack.append(bool(stack) and is_control(body[:offset].rstrip()))
            if sum(stack) > best:
                best, line = sum(stack), first + body.count("\n", 0, offset)
        elif char == "}" and stack:
            stack.pop()
    return best, line
