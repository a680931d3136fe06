#!/usr/bin/env bash
# Makes src/cluster/icu76.tar.gz: ICU's data for the collations of all languages, from Debian trixie's libicu76 (76.1), the
# version that PGlite was built with (its files are in icudt76l).
# Needs Debian's apt-get with its archive key, dpkg-deb, readelf (binutils), icupkg (icu-devtools) and python3.
set -euo pipefail
target=$(cd "$(dirname "$0")/.." && pwd)/src/cluster/icu76.tar.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >trixie.list
mkdir -p state/lists/partial state/archives/partial
apt=(apt-get -o Dir::Etc::sourcelist="$work/trixie.list" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::State::lists="$work/state/lists" -o Dir::Cache="$work/state")
"${apt[@]}" update -qq
"${apt[@]}" download -qq libicu76
dpkg-deb -x libicu76_*.deb package

# The library is nothing but the data, behind one symbol.
python3 - <<'PYTHON'
import glob, re, subprocess
library = glob.glob("package/usr/lib/*/libicudata.so.76.1")[0]
tables = lambda *options: subprocess.run(["readelf", *options, library], capture_output=True, text=True).stdout
symbol = next(line for line in tables("-sW", "--dyn-syms").splitlines() if "icudt76_dat" in line).split()
address, offset, _ = (int(number, 16) for number in re.search(r"\.rodata\s+PROGBITS\s+(\w+)\s+(\w+)\s+(\w+)", tables("-SW")).groups())
start = offset + int(symbol[1], 16) - address
with open(library, "rb") as data, open("icudt76l.dat", "wb") as out:
    out.write(data.read()[start : start + int(symbol[2], 0)])
PYTHON
mkdir all
icupkg -d all -x '*' icudt76l.dat

picked=picked/icudt76l
mkdir -p $picked/coll $picked/brkitr
cp all/coll/* $picked/coll/                                                                    # the collations
cp all/brkitr/{title,char,word,sent,line}.brk all/brkitr/{root,res_index}.res $picked/brkitr/  # initcap
cp all/{keyTypeData,timezoneTypes,res_index}.res $picked/                                      # keywords such as -u-ks-level2, the list of locales
tar --sort=name --owner=0 --group=0 --mtime=@0 --format=ustar -cf - -C picked icudt76l | gzip -9n >"$target"
sha256sum "$target"
