#!/bin/sh
# An ExternalId or account number that stands in YAML without quotes, read by three libraries.
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target py PyYAML==6.0.2
npm install --silent --no-audit --no-fund js-yaml@4.1.0 yaml@2.8.1
cat > values.yaml <<'Y'
- 12e3456
- 0123456701234567
- 0123456789012345
- 12:30:45
- 1_000
Y
PYTHONPATH=py python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("values.yaml"))))' > pyyaml
node -e 'const f=require("fs").readFileSync("values.yaml","utf8"); console.log(JSON.stringify(require("js-yaml").load(f)))' > js-yaml
node -e 'const f=require("fs").readFileSync("values.yaml","utf8"); console.log(JSON.stringify(require("yaml").parse(f)))' > yaml
echo "written              $(sed 's/^- //' values.yaml | paste -sd ' ')"
echo "PyYAML 6.0.2         $(cat pyyaml)"
echo "npm js-yaml 4.1.0    $(cat js-yaml)"
echo "npm yaml 2.8.1       $(cat yaml)"
echo "Expectation: the readers differ over yes and no; a word of digits and a letter is text, and a number is the same number to all."
echo "Seen: 12e3456 is text to PyYAML, and too large a number to both of Node, which write it on as null: the ExternalId is gone."
echo "      A leading 0 makes an octal number for PyYAML, but only where no 8 or 9 follows; both of Node just drop the 0."
[ "$(cat pyyaml)" = '["12e3456", 5744368105847, "0123456789012345", 45045, 1000]' ] &&
[ "$(cat js-yaml)" = '[null,123456701234567,123456789012345,"12:30:45",1000]' ] &&
[ "$(cat yaml)" = '[null,123456701234567,123456789012345,"12:30:45","1_000"]' ]
