#!/usr/bin/env bash
# Browser tests need a Chromium and a font with Chinese characters, the tests of telephony a SIP client. Installs them where it may, else names them.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh-cn family | head -n 1)" ] || missing+=(fonts-noto-cjk)
command -v sipp >/dev/null || missing+=(sip-tester)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n env)
else as_root=()
fi
if [ ${#as_root[@]} -gt 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests: ${missing[*]}"
    if { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" fontconfig; } >/dev/null </dev/null; then
        exit 0
    fi
fi
echo "The tests need ${missing[*]}; install with your system's package manager and run this again."
