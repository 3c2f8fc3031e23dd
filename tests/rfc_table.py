#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs/rfc/*.md against the tree, for tests/lint: every file, function and test that a row names exists.

In a row, or in the line above a table that gives a short name, these are looked at:
  path.ext, path.ext:name          a file, and a word in it; `path.ext`: "title" also a string in it
  test_name, `unit name`           a test: tests/{netns,peer,bpf}/test_name.sh|.c, tests/unit/*/test_name.c
  `tests/config/NN-what`, globs    at least one file
  `some_name`, `some_name()`       a word of the sources, when it has an underscore
Paths may leave out user/, or the folder of a test. Prints what is not there; nothing when all is.
"""

import glob
import re
import subprocess
import sys

FOLDERS = ["", "user/", "tests/unit/user/", "tests/unit/keyd/", "tests/bpf/", "tests/netns/", "tests/peer/",
           "tests/config/", "tests/vectors/", "user/crypto/", "docs/"]
FILE = re.compile(r"(?<![\w/*?.-])((?:[\w-]+/)*[\w-]+\.(?:c|h|sh|py|md|txt))\b(?::\s?([A-Za-z_]\w*))?(?:`?:? \"([^\"]+)\")?")
CODE = re.compile(r"`([^`]+)`")
TEST = re.compile(r"\btest_\w+\b(?!\.\w)")
UNIT = re.compile(r"\bunit ((?:[a-z_0-9]+)(?:, [a-z_0-9]+(?=[,;|: ]))*)")


def tree():
    return subprocess.run(["git", "ls-files"], stdout=subprocess.PIPE, check=True, text=True).stdout.split("\n")


class Tree:
    def __init__(self):
        self.files = set(tree())
        self.read_files, self.words = {}, set()
        for name in self.files:
            if re.search(r"\.(c|h|py|sh|mk)$", name) or name == "tests/run":
                self.words |= set(re.findall(r"\w+", self.read(name)))

    def read(self, name):
        if name not in self.read_files:
            with open(name, encoding="utf-8", errors="replace") as f:
                self.read_files[name] = f.read()
        return self.read_files[name]

    def find(self, name):
        return [folder + name for folder in FOLDERS if folder + name in self.files]


def names_of_file(t, line):
    """Files, and what is looked for in them; the line without them."""
    wrong = []

    def look(m):
        name, word, title = m.group(1), m.group(2), m.group(3)
        found = t.find(name)
        if not found:
            wrong.append("no file %s" % name)
        elif word and not any(re.search(r"\b%s\b" % word, t.read(f)) for f in found) and not m.group(0).count(": "):
            wrong.append("no %s in %s" % (word, name))
        elif title and not any(title in t.read(f) for f in found):
            wrong.append('no "%s" in %s' % (title, name))
        return " "

    return FILE.sub(look, line), wrong


def check(t, line):
    rest, wrong = names_of_file(t, line)
    for code in CODE.findall(rest):
        code = code.strip()
        if re.fullmatch(r"[\w/?*-]+/[\w?*.-]+", code):
            if not glob.glob(code) and not glob.glob(code + ".*") and not glob.glob("user/" + code + "*"):
                wrong.append("nothing is called %s" % code)
        elif re.fullmatch(r"\.?[A-Za-z]\w*(\(\))?", code) and "_" in code:
            if code.strip(".()") not in t.words:
                wrong.append("no %s in the sources" % code)
    for test in TEST.findall(rest):
        if not any(f.rsplit("/", 1)[-1].split(".")[0] == test for f in t.files) and test not in t.words:
            wrong.append("no test %s" % test)
    for units in UNIT.findall(rest):
        for unit in units.split(", "):
            if not t.find("test_%s.c" % unit):
                wrong.append("no tests/unit/*/test_%s.c" % unit)
    return wrong


def main():
    t = Tree()
    for path in sorted(glob.glob("docs/rfc/*.md")):
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            for what in check(t, line):
                print("%s:%d: %s" % (path, number, what))
            if line.startswith("| ") and not re.match(r"\| (---|section)", line) and line.count("|") < 5:
                print("%s:%d: a row needs a section, a requirement, a place and a test" % (path, number))


if __name__ == "__main__":
    sys.exit(main())
