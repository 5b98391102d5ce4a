//! The image `busybox`, made of the machine's own static busybox, with a small web site, and `getent`, which looks names
//! up as programs do.
//!
//! The site tells each visitor the address it came from, which is what end-to-end tests want to know.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::place::Place;

const MAKE: &str = r#"set -eu
cd "$1"
mkdir -p root/bin root/dev root/etc root/proc root/sys root/tmp root/root root/www/cgi-bin
busybox=$(command -v busybox) || { echo 'busybox is not installed (package busybox-static)' >&2; exit 1; }
if ldd "$busybox" >/dev/null 2>&1; then
    echo "$busybox is not static (install the package busybox-static)" >&2
    exit 1
fi
cp "$busybox" root/bin/busybox
for applet in $(root/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -sf busybox "root/bin/$applet"
done
echo 'a container of its own address' >root/www/index.html
cat >root/www/cgi-bin/whoami <<'END'
#!/bin/sh
echo 'Content-Type: text/plain'
echo
# httpd listens on IPv6, where a visitor of IPv4 is [::ffff:10.0.0.1].
visitor=${REMOTE_ADDR#\[::ffff:}
echo "you are ${visitor%]}"
END
chmod 755 root/www/cgi-bin/whoami
# What programs find names with. It is not static: what it needs goes with it.
getent=$(command -v getent)
cp "$getent" root/bin/getent
for library in $(ldd "$getent" | grep -o '/[^ ]*'); do
    mkdir -p "root$(dirname "$library")"
    cp -L "$library" "root$library"
done
echo 'hosts: files dns' >root/etc/nsswitch.conf
tar -C root -cf image.tar.new .
mv image.tar.new image.tar
"#;

/// The image as a tar, made at first use.
pub(super) fn tar(place: &Place) -> Result<PathBuf> {
    let dir = place.folder("image")?;
    let tar = dir.join("image.tar");
    if !tar.exists() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", MAKE, "sh"]).arg(&dir).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.output().context("could not run sh")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "could not make the image: {said}");
    }
    Ok(tar)
}

/// The folder of the web site, for machines that are no containers.
pub(super) fn site(place: &Place) -> Result<PathBuf> {
    tar(place)?;
    Ok(place.dir().join("image/root/www"))
}
