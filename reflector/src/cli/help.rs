//! What `--help` teaches beyond the options: examples, exit codes, files. The man pages hold the same words.

/// Options of every command, apart from its own.
pub(super) const EVERYWHERE: &str = "Options of every command";
/// `--config`
pub(super) const CONFIG_OPTION: &str = "Read this configuration file and no other [env: REFLECTOR_CONFIG]";
/// `--color`
pub(super) const COLOUR_OPTION: &str = "Use colours; auto means on a terminal and without NO_COLOR";
/// `serve --bind`
pub(super) const BIND_OPTION: &str = "Listen here instead of network.listen_address";

/// Under `reflector --help`.
pub(super) const REFLECTOR: &str = "\
First steps:
  reflector self-test           can this host serve tests?
  reflector config check        is the configuration right?
  reflector serve               run
  reflector pair                let an appliance in, from a second terminal

Exit codes:
  0   done
  1   not done; why and what to do is on standard error
  2   answered, and the answer is no: not serving, NOT READY, audit log not intact, test denied
  3   part of it: a test was cut or interrupted, what was measured until then is the answer
  64  the command line is wrong

Files:
  /etc/reflector/reflector.toml    configuration; then ~/.config/reflector/reflector.toml
  /var/lib/reflector/              key, ledger, audit log, peers/, admin.sock";

pub(super) const SERVE: &str = "\
Makes the key at the first start. SIGTERM stops it: no new tests, running ones get a bounded time to end. \
Logs go to standard error.

Examples:
  reflector serve
  reflector -c ./test.toml --log-level debug serve --bind 127.0.0.1:4100

Exit codes:
  0   stopped by SIGTERM or SIGINT, after draining
  1   could not start (configuration, key file, port), or a part it cannot work without ended
  64  the command line is wrong

Files:
  The key and its folder (identity.private_key_path): ledger, audit log, peers/, pairing window, admin.sock";

pub(super) const PAIR: &str = "\
The running reflector makes a code of eight symbols; the first appliance that presents it in time is let in. A \
window that is open already is replaced. The code is shown once and stored nowhere in clear.

Examples:
  reflector pair
  reflector pair --ttl 1h --json
  reflector pair --close

Exit codes:
  0   the window is open (or closed, with --close)
  1   the reflector is not running, refused, or may not be asked by this user
  64  the command line is wrong

Files:
  The admin socket (network.admin_socket); a paired appliance becomes a manifest in access.peers_dir";

pub(super) const PEERS: &str = "\
Edits the ReflectorPeer manifests in access.peers_dir, the same a cluster would hold; the running reflector sees \
each change at once. Appliances in access.authorized_peers stand in the configuration and are edited there.

Examples:
  reflector peers list
  reflector peers revoke living-room

Exit codes:
  0   done, and confirmed by the reflector if it is running
  1   not done, or not confirmed in time
  64  the command line is wrong

Files:
  access.peers_dir, the admin socket";

pub(super) const PEERS_LIST: &str = "\
Works without a running reflector too; what only it knows is then shown as -.

Examples:
  reflector peers list
  reflector peers list --json | jq '.peers[] | select(.state == \"suspended\") | .name'

Exit codes:
  0   listed
  1   the manifests cannot be read, or the reflector may not be asked by this user
  64  the command line is wrong

Files:
  access.peers_dir, the admin socket";

pub(super) const PEERS_ADD: &str = "\
Writes a manifest with this Endpoint ID, and waits until the running reflector lets it in. Without an Endpoint ID \
at hand, use `reflector pair`.

Examples:
  reflector peers add PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K
  reflector peers add PP-7DN2-… --name living-room --display-name 'Living room'

Exit codes:
  0   written, and confirmed by the reflector if it is running
  1   not written, or not confirmed in time
  64  the command line is wrong

Files:
  access.peers_dir, the admin socket";

pub(super) const PEERS_REMOVE: &str = "\
Deletes the manifest and waits until the running reflector has closed every connection of that appliance. It may \
pair again later; to shut it out for good, revoke it.

Examples:
  reflector peers remove living-room

Exit codes:
  0   removed, and confirmed by the reflector if it is running
  1   not removed, or not confirmed in time
  64  the command line is wrong

Files:
  access.peers_dir, the admin socket";

pub(super) const PEERS_REVOKE: &str = "\
Sets `suspend: true` in the manifest and waits until the running reflector has cut running tests and closed every \
connection of that appliance; prints how long that took. Undo it by setting `suspend: false` in the manifest.

Examples:
  reflector peers revoke living-room
  reflector peers revoke PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K

Exit codes:
  0   revoked, and confirmed by the reflector if it is running
  1   not revoked, or not confirmed in time
  64  the command line is wrong

Files:
  access.peers_dir, the admin socket";

pub(super) const ROTATE: &str = "\
Keeps the old key as a dated backup beside the new one, and lets the old key sign the new Endpoint ID. A running \
reflector switches without losing live tests. Appliances that pin our Endpoint ID must be told the new one.

Examples:
  reflector rotate-identity

Exit codes:
  0   rotated, and in use if the reflector is running
  1   not rotated, or the running reflector could not switch
  64  the command line is wrong

Files:
  identity.private_key_path and its dated backup, the admin socket, the audit log";

pub(super) const STATUS: &str = "\
Asks the running reflector. Suits a container's health check.

Examples:
  reflector status
  reflector status --json | jq .serving

Exit codes:
  0   serving: a test would be accepted now
  1   not running, not answering, or this user may not ask
  2   running, and not serving; the problems and what to do are in the answer
  64  the command line is wrong

Files:
  The admin socket (network.admin_socket)";

pub(super) const SHOW_ID: &str = "\
Reads the key file; the reflector need not run. Prints the Endpoint ID and nothing else.

Examples:
  reflector show-id
  sudo -u reflector reflector show-id

Exit codes:
  0   printed
  1   there is no key yet (the first `reflector serve` makes it), or it cannot be read
  64  the command line is wrong

Files:
  identity.private_key_path";

pub(super) const EXPORT_IDENTITY: &str = "\
For moving a reflector to another host or cluster, and for backups where the key file itself cannot be copied, as in a \
pod. Prints the key file in base64; the reflector need not run. Keep it as you keep a password, and never let two \
reflectors run with one key. In a cluster, `kubectl reflector export --identities` asks for this and makes a Secret of it.

Examples:
  reflector export-identity --private-key | base64 -d > identity.ed25519
  reflector export-identity --private-key --json

Exit codes:
  0   printed
  1   there is no key yet (the first `reflector serve` makes it), or it cannot be read
  64  the command line is wrong: nobody prints a private key without saying so

Files:
  identity.private_key_path";

pub(super) const SELF_TEST: &str = "\
Ten checks: CPU, its features, memory, link speed, test engine, loopback throughput, disk, signatures, clock, file \
descriptors. Each says what was found and what to do about it. Takes a few seconds.

Examples:
  reflector self-test
  reflector self-test --json | jq -r .verdict

Exit codes:
  0   READY, READY (limited) or DEGRADED
  1   a check itself broke
  2   NOT READY
  64  the command line is wrong

Files:
  Writes and removes a small file in the folder of the key";

pub(super) const TEST: &str = "\
Measures 10 s down and 10 s up over 4 TCP streams unless told otherwise, after saying what that costs. The Endpoint ID \
in the address is the only key that is accepted. Data goes straight to the port the reflector grants; where that \
cannot be reached, through TLS on the control port, which is said. Ctrl-C ends the test over there too and prints \
what was measured until then.

Our own key is identity.private_key_path if it is configured or readable, else one in the user's state folder, made at \
first use. The reflector has to know it: give --code once, or have its owner run `reflector peers add`.

Against a stock iperf3 server there is no identity, no budget and no echo.

Examples:
  reflector test PP-7DN2-…-K@attic.example --code ABCD2345
  reflector test PP-7DN2-…-K@192.0.2.7:4000
  reflector test PP-7DN2-…-K@attic.example --down -t 30 -P 8
  reflector test PP-7DN2-…-K@attic.example --udp 20M
  reflector test PP-7DN2-…-K@attic.example --compare
  reflector test PP-7DN2-…-K@attic.example --save --html attic.html
  reflector test PP-7DN2-…-K@attic.example --json | jq '.phases[] | {name, mbps, limit}'
  reflector test iperf3://192.0.2.9:5201 --up

Exit codes:
  0   measured, all of it
  1   not measured: not reached, another key answered, or it broke; or measured, and not kept (--save, --html)
  2   denied: not paired, busy, a limit is reached; the reason and when to come back are on standard error
  3   cut or interrupted: the answer holds what was measured until then
  64  the command line is wrong

Files:
  identity.private_key_path, or reflector/identity.ed25519 in $XDG_STATE_HOME or ~/.local/state
  reflector/history in the same place, with --save; the file of --html";

pub(super) const CONNECT: &str = "\
Every stream of the test, iperf3's own control connection included, goes through a TLS connection of its own to the \
reflector's port: nothing else has to be open. One test at a time; each asks the reflector for exactly the session that \
iperf3's options need, and says on standard error what it was granted. Options that iperf3 sets on its own sockets act on \
loopback, and loss, jitter and round-trip times that it reports are those of the tunnel, never the path's.

A tunnel of TLS loses nothing. UDP that is sent faster than it goes through is dropped in this host's queue, which iperf3 \
reports as lost; how many those were is said after each test and at the end.

This host is known to the reflector by its own key (identity.private_key_path if it can be read, else one in \
~/.local/state/reflector, made at first use): give --code once, or have the owner run `reflector peers add`.

Examples:
  reflector connect PP-7DN2-…-K@attic.local --code ABCD2345
  reflector connect PP-7DN2-…-K@attic.local --forward 5210

In a second terminal:
  iperf3 -c 127.0.0.1 -P 4 -R
  iperf3 -c 127.0.0.1 -p 5210 -u -b 50M

Exit codes:
  0   interrupted (Ctrl-C or SIGTERM), and everything was closed
  1   the reflector cannot be reached, or the port is taken
  2   the reflector answered, and the answer is no: this host or its code is not let in, or it has no tunnel
  64  the command line is wrong

Files:
  The key of this client";

pub(super) const AUDIT: &str = "\
Every line of the audit log carries the hash of the one before it.

Examples:
  reflector audit verify
  reflector audit export > audit.jsonl

Exit codes:
  0   intact
  1   a file cannot be read
  2   not intact
  64  the command line is wrong

Files:
  logging.audit_log_path and its rotated files";

pub(super) const AUDIT_EXPORT: &str = "\
Whole lines, oldest first, while the reflector goes on writing. Nothing is removed. Whoever keeps the copy can verify it there.

Examples:
  reflector audit export > audit.jsonl
  kubectl exec deploy/rfl-attic -- /reflector audit export > audit.jsonl
  reflector audit verify audit.jsonl

Exit codes:
  0   done
  1   a file cannot be read, or is compressed
  64  the command line is wrong

Files:
  logging.audit_log_path and its rotated files";

pub(super) const AUDIT_VERIFY: &str = "\
Without FILES, the configured log is verified up to the last line the running reflector wrote, so that a \
shortened log is found too.

Examples:
  reflector audit verify
  reflector audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl

Exit codes:
  0   intact
  1   a file cannot be read
  2   lines were removed, changed or reordered; each place is named
  64  the command line is wrong

Files:
  logging.audit_log_path and its rotated files, the admin socket";

pub(super) const CONFIG: &str = "\
Where the configuration is looked for: -c/--config, else REFLECTOR_CONFIG, else /etc/reflector/reflector.toml, \
else $XDG_CONFIG_HOME/reflector/reflector.toml or ~/.config/reflector/reflector.toml, else defaults. Any key can \
be overridden by a variable REFLECTOR__SECTION__KEY.

Examples:
  reflector config check
  REFLECTOR__NETWORK__MODE=tunneled reflector config show

Exit codes:
  0   right
  1   wrong, or cannot be read
  64  the command line is wrong

Files:
  The configuration";

pub(super) const CONFIG_CHECK: &str = "\
Everything that is wrong is told at once, each with its line and what to write. Starts nothing.

Examples:
  reflector config check
  reflector -c ./new.toml config check

Exit codes:
  0   right; there may be warnings on standard error
  1   wrong, or cannot be read
  64  the command line is wrong

Files:
  The configuration";

pub(super) const CONFIG_SHOW: &str = "\
The output is a configuration file that means the same.

Examples:
  reflector config show
  reflector config show --json | jq '.keys[] | select(.origin != \"default\")'

Exit codes:
  0   printed
  1   the configuration is wrong, or cannot be read
  64  the command line is wrong

Files:
  The configuration";

pub(super) const COMPLETIONS: &str = "\
Examples:
  reflector completions bash > /etc/bash_completion.d/reflector
  reflector completions zsh > \"${fpath[1]}/_reflector\"
  reflector completions fish > ~/.config/fish/completions/reflector.fish

Exit codes:
  0   printed
  64  the command line is wrong";
