"""block.py PAGE LANGUAGE TEXT: prints the first code block of that language in a
page which holds TEXT, just as the page has it."""
import re, sys

page, language, text = sys.argv[1:4]
for block in re.findall(r"^( *)```%s\n(.*?)^\1```$" % re.escape(language), open(page).read(), re.M | re.S):
    if text in block[1]:
        print("\n".join(line.removeprefix(block[0]) for line in block[1].splitlines()))
        sys.exit(0)
sys.exit(f"{page} has no {language} block with {text!r}")
