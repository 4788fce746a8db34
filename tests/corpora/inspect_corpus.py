# SPDX-License-Identifier: Apache-2.0
"""Ordinary bodies, none of which may be blocked, and bodies with keys, all of which must be
found: whole and in pieces of any size. Prints precision and recall.

	inspect_corpus.py PATH/TO/inspect_dump

The keys' formats are written down here from their makers' documents, not from our table."""

import base64
import gzip
import json
import random
import string
import subprocess
import sys
import urllib.parse
import uuid
import zlib
from pathlib import Path

R = random.Random(20260514)
AN = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
WORDS = """the a of and to in is you that it he was for on are as with his they at be this have
from or one had by word but not what all were we when your can said there use an each which she
do how their if will up other about out many then them these so some her would make like him
into time has look two more write go see number no way could people my than first water been
call who oil its now find long down day did get come made may part basic information bearer of
good news token economy secret garden key lime pie password policy authorization letter""".split()


def pick(alphabet, n):
    return "".join(R.choice(alphabet) for _ in range(n))


def mixed(n, alphabet=AN):
    """As a generator of keys makes them: digits and letters, and a mark for the test."""
    while True:
        s = "CANARY" + pick(alphabet, n - 6)
        if any(c.isdigit() for c in s):
            return s


def b64(n, url=False):
    raw = R.randbytes(n)
    return (base64.urlsafe_b64encode(raw).rstrip(b"=") if url else base64.b64encode(raw)).decode()


def prose(n):
    return " ".join(R.choice(WORDS) for _ in range(n)).capitalize() + "."


def guid():
    return str(uuid.UUID(bytes=R.randbytes(16), version=4))


def when():
    return f"2026-{R.randint(1, 12):02}-{R.randint(1, 28):02}T{R.randint(0, 23):02}:{R.randint(0, 59):02}:00Z"


# ---- ordinary ----

def github_issue():
    return {"id": R.randint(1, 10**9), "node_id": b64(18), "number": R.randint(1, 9999), "title": prose(6),
            "user": {"login": R.choice(WORDS) + "-bot", "avatar_url": f"https://avatars.example.com/u/{R.randint(1, 10**7)}?v=4"},
            "labels": [{"name": "bug", "color": pick(HEX, 6)}], "body": prose(40), "created_at": when(),
            "head": {"sha": pick(HEX, 40), "ref": "feature/sk-" + R.choice(WORDS)}, "etag": f'W/"{pick(HEX, 64)}"'}


def slack_message():
    return {"channel": "C" + pick(string.ascii_uppercase + string.digits, 10), "text": prose(20),
            "thread_ts": f"17{R.randint(10**7, 10**8)}.{R.randint(10**5, 10**6)}",
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*" + prose(5) + "*"}}],
            "client_msg_id": guid(), "response_metadata": {"next_cursor": b64(24)}}


def stripe_charge():
    return {"amount": R.randint(100, 99999), "currency": "eur", "customer": "cus_" + pick(AN, 14),
            "payment_method": "pm_" + pick(AN, 24), "metadata": {"order": guid()},
            "idempotency_key": guid(), "description": prose(5)}


def chat_completion():
    return {"model": "gpt-4o-mini-2024-07-18", "messages": [{"role": "system", "content": prose(20)},
            {"role": "user", "content": "How do I set the Authorization header to Bearer <token>? " + prose(10)}],
            "tools": [{"type": "function", "function": {"name": "get_secret_key_by_name", "parameters": {
                "type": "object", "properties": {"api_key": {"type": "string", "description": "the API key to look up"}}}}}],
            "id": "chatcmpl-" + pick(AN, 29), "system_fingerprint": "fp_" + pick(HEX, 10)}


def jira():
    return {"fields": {"project": {"key": "KEY"}, "summary": prose(7), "issuetype": {"name": "Task"},
                       "description": "Basic information: " + prose(20), "customfield_10010": guid()}}


def google_list():
    return {"kind": "drive#fileList", "nextPageToken": b64(60, url=True), "files": [
        {"id": "1" + pick(AN + "_-", 32), "name": prose(3), "md5Checksum": pick(HEX, 32), "version": str(R.randint(1, 999))}
        for _ in range(3)]}


def aws_record():
    return {"Records": [{"eventVersion": "2.1", "awsRegion": "eu-central-1", "requestID": pick(string.ascii_uppercase + string.digits, 16),
                         "x-amz-id-2": b64(57), "s3": {"bucket": {"arn": "arn:aws:s3:::" + R.choice(WORDS)},
                                                      "object": {"eTag": pick(HEX, 32), "sequencer": pick(HEX, 18).upper()}}}]}


def ethereum():
    return {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [{"address": "0x" + pick(HEX, 40)}],
            "note": prose(3), "block": hex(R.randint(1, 10**8))}


def openapi():
    return {"openapi": "3.1.0", "components": {"securitySchemes": {"ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "BearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}, "BasicAuth": {"type": "http", "scheme": "basic"}}},
            "info": {"title": prose(3), "description": "Get an access_token: see client_secret_basic. " + prose(10)}}


def lock_file():
    return {"packages": {f"node_modules/{R.choice(WORDS)}": {"version": "1.2.3", "resolved": "https://registry.example.com/x.tgz",
                                                           "integrity": "sha512-" + b64(64)} for _ in range(3)}}


def settings():
    return R.choice([
        f"api_key: YOUR_API_KEY\npassword: changeme\n# {prose(6)}\nsecret_key: ${{SECRET_KEY}}\n",
        f"API_KEY=<your-api-key>\nCLIENT_SECRET=xxxxxxxxxxxxxxxxxxxxxxxx\nACCESS_TOKEN=\nHOST={R.choice(WORDS)}.example.com\n",
        "DATABASE_URL=postgres://localhost:5432/app\nREDIS_URL=redis://cache:6379/0\n",
        "auth_token: !secret home_token\napi-key: {{ vault.api_key }}\nprivate_key: /etc/ssl/private/server.key\n",
        f"url: postgres://${{DB_USER}}:${{DB_PASSWORD}}@db.example.com/app # {prose(4)}\n",
    ])


def code():
    return R.choice([
        "def authorize(api_key: str, secret_key: Optional[str] = None) -> bool:\n    return hmac.compare_digest(api_key, expected)\n",
        "const accessToken = await getAccessToken(clientSecret);\nheaders['Authorization'] = `Bearer ${accessToken}`;\n",
        "if (strncmp(header, \"Bearer \", 7) == 0)\n\ttoken = header + 7; /* basic checks follow */\n",
        "curl -H \"Authorization: Bearer $TOKEN\" https://api.example.com/v1/keys\n",
        ".sk-loading-indicator-wrapper, .pk-collapsed-navigation-bar { color: #" + pick(HEX, 6) + "; }\n",
        "diff --git a/x b/x\nindex " + pick(HEX, 40) + ".." + pick(HEX, 40) + " 100644\n--- a/x\n+++ b/x\n+secret_key = os.environ['SECRET_KEY']\n",
        "-----BEGIN CERTIFICATE-----\n" + b64(300) + "\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\n" + b64(90) + "\n-----END PUBLIC KEY-----\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + b64(32) + " user@host\n",
        "INSERT INTO users(id, password_hash) VALUES ('" + guid() + "', '$argon2id$v=19$m=65536,t=3,p=4$" + b64(16, True) + "$" + b64(32, True) + "');\n",
        "password = getpass.getpass('Password: ')\napi_secret = load_secret_from_environment_variable()\n",
    ]) + "# " + prose(8)


def table():
    return "\n".join(",".join((guid(), pick(HEX, 40), R.choice(WORDS), str(R.random()))) for _ in range(6))


def page():
    return (f"<html><body><form action='/login'><input name='password' type='password'/><input name='csrf_token' value='{b64(32, True)}'/>"
            f"</form><p>{prose(20)}</p><img src='data:image/png;base64,{b64(200)}'/></body></html>")


def form():
    return urllib.parse.urlencode({"q": prose(4), "id": guid(), "digest": pick(HEX, 64), "page_token": b64(20), "note": "50% of 100%AB"})


def hashes():
    return {"md5": pick(HEX, 32), "sha1": pick(HEX, 40), "sha256": pick(HEX, 64), "sha512": pick(HEX, 128),
            "uuids": [guid() for _ in range(5)], "ulid": pick("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26)}


def ordinary():
    makers = [github_issue, slack_message, stripe_charge, chat_completion, jira, google_list, aws_record, ethereum, openapi,
              lock_file, settings, code, table, page, form, hashes, lambda: prose(120)]
    bodies = []
    for n in range(30):
        for make in makers:
            made = make()
            bodies.append(made.encode() if isinstance(made, str) else
                          json.dumps(made, ensure_ascii=n % 2 == 0, indent=n % 3 or None).encode())
    # files of real programs, as an agent uploads them
    for path in sorted(Path(json.__file__).parent.glob("*.py")) + sorted(Path(urllib.parse.__file__).parent.glob("*.py")):
        bodies.append(path.read_bytes())
    return bodies


# ---- with keys ----

def jwt():
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps({"sub": guid(), "CANARY": 1}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{b64(256, True)}"


def discord():
    return f"{base64.b64encode(str(R.randint(10**17, 10**18 - 1)).encode()).decode().rstrip('=')}.{pick(AN, 6)}.{pick(AN + '_-', 38)}"


KEYS = {
    "openai": lambda: "sk-" + mixed(48), "openai project": lambda: "sk-proj-" + mixed(120, AN + "_-"),
    "openai service": lambda: "sk-svcacct-" + mixed(100, AN + "_-"), "anthropic": lambda: "sk-ant-api03-" + mixed(93, AN + "_-"),
    "github classic": lambda: "ghp_" + mixed(36), "github app": lambda: "ghs_" + mixed(36),
    "github oauth": lambda: "gho_" + mixed(36), "github fine": lambda: "github_pat_11" + mixed(20) + "_" + mixed(59),
    "gitlab": lambda: "glpat-" + mixed(20, AN + "_-"), "slack bot": lambda: f"xoxb-{R.randint(10**11, 10**12)}-{R.randint(10**11, 10**12)}-{mixed(24)}",
    "slack user": lambda: f"xoxp-{R.randint(10**11, 10**12)}-{R.randint(10**11, 10**12)}-{pick(HEX, 32)}",
    "slack app": lambda: f"xapp-1-A{pick(AN, 10)}-{R.randint(10**12, 10**13)}-{pick(HEX, 64)}",
    "aws": lambda: "AKIA" + pick(string.ascii_uppercase + string.digits, 16), "aws temporary": lambda: "ASIA" + pick(string.ascii_uppercase + string.digits, 16),
    "google": lambda: "AIza" + mixed(35, AN + "_-"), "google oauth": lambda: "ya29." + mixed(150, AN + "_-"),
    "google client": lambda: "GOCSPX-" + mixed(28, AN + "_-"), "stripe": lambda: "sk_live_" + mixed(24), "stripe new": lambda: "sk_live_51" + mixed(97),
    "stripe restricted": lambda: "rk_live_" + mixed(24), "stripe test": lambda: "sk_test_" + mixed(24), "stripe webhook": lambda: "whsec_" + mixed(32),
    "twilio": lambda: "SK" + pick(HEX, 32), "sendgrid": lambda: "SG." + mixed(22, AN + "_-") + "." + mixed(43, AN + "_-"),
    "npm": lambda: "npm_" + mixed(36), "pypi": lambda: "pypi-AgEIcHlwaS5vcmc" + mixed(150, AN + "_-"), "docker": lambda: "dckr_pat_" + mixed(27, AN + "_-"),
    "hugging face": lambda: "hf_" + mixed(34), "mailgun": lambda: "key-" + pick(HEX, 32), "discord": discord, "jwt": jwt,
    "digital ocean": lambda: "dop_v1_" + pick(HEX, 64), "shopify": lambda: "shpat_" + pick(HEX, 32), "vault": lambda: "hvs." + mixed(24, AN + "_-"),
    "groq": lambda: "gsk_" + mixed(52), "notion": lambda: "ntn_" + mixed(46), "linear": lambda: "lin_api_" + mixed(40),
    "database": lambda: f"postgresql://app:{mixed(16)}@db.example.com:5432/app", "mongo": lambda: f"mongodb+srv://root:{mixed(12)}@cluster0.example.net/x",
    "azure": lambda: f"DefaultEndpointsProtocol=https;AccountName=store;AccountKey={b64(64)};EndpointSuffix=core.example.net",
    "private key": lambda: f"-----BEGIN RSA PRIVATE KEY-----\n{b64(600)}\n-----END RSA PRIVATE KEY-----",
    "openssh key": lambda: f"-----BEGIN OPENSSH PRIVATE KEY-----\n{b64(300)}\n-----END OPENSSH PRIVATE KEY-----",
    "pkcs8 key": lambda: f"-----BEGIN PRIVATE KEY-----\n{b64(300)}\n-----END PRIVATE KEY-----",
    "aws secret": lambda: f"aws_secret_access_key = {mixed(40, AN + '/+')}", "basic": lambda: "Basic " + base64.b64encode(f"user:{mixed(14)}".encode()).decode(),
    "bearer": lambda: "Bearer " + mixed(40), "client secret": lambda: f"client_secret: {mixed(40)}", "api key": lambda: f"x-api-key={mixed(32)}",
}

unicode_escaped = lambda k: '{"text":"' + "".join(f"\\u{ord(c):04x}" for c in k) + '"}'
WRAPPINGS = {
    "json": lambda k: (json.dumps({"text": prose(4), "value": k, "n": 1}).encode(), "identity"),
    "json in json": lambda k: (json.dumps({"arguments": json.dumps({"note": f"here it is: {k}\n"})}).encode(), "identity"),
    "escaped json": lambda k: (unicode_escaped(k).encode(), "identity"),
    "form": lambda k: (urllib.parse.urlencode({"a": "b", "text": f"see {k} ok"}, quote_via=urllib.parse.quote).encode(), "identity"),
    "percent": lambda k: (("x=" + "".join(f"%{ord(c):02X}" for c in k)).encode(), "identity"),
    "prose": lambda k: (f"{prose(9)} Use {k} for it. {prose(9)}".encode(), "identity"),
    "gzip": lambda k: (gzip.compress((prose(200) + f" {k} " + prose(200)).encode()), "gzip"),
    "deflate": lambda k: (zlib.compress(json.dumps({"v": k}).encode()), "deflate"),
    "multipart": lambda k: (f"--x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n{k}\r\n--x--\r\n".encode(), "identity"),
    "behind a backslash": lambda k: (f"{prose(3)} C:\\{k} {prose(3)}".encode(), "identity"),
    "behind a backslash in json": lambda k: (json.dumps({"cmd": f"echo \\{k}"}).encode(), "identity"),
    "behind a percent sign": lambda k: (f"{prose(3)} 100%{k} {prose(3)}".encode(), "identity"),
    "behind a percent sign in a form": lambda k: (f"a=b&c=%25{k}&d=e".encode(), "identity"),
    "late": lambda k: ((prose(2000) + "\n" + k + "\n").encode(), "identity"),
}


# What is known by its name or header alone is not looked for behind a percent sign: 100%name is no name.
BY_NAME = {"private key", "openssh key", "pkcs8 key", "aws secret", "client secret", "api key"}


def with_keys():
    return [(f"{name} in {how}", *wrap(make())) for name, make in KEYS.items() for how, wrap in WRAPPINGS.items()
            if not (name in BY_NAME and how.startswith("behind a percent sign"))]


def ask(dump, cases):
    data = b"".join(b"%s %d %d\n%s" % (coding.encode(), len(body), chunk, body) for body, coding, chunk in cases)
    out = subprocess.run([dump], input=data, capture_output=True, check=True).stdout.decode().splitlines()
    assert len(out) == len(cases), (len(out), len(cases))
    return [line.split("\t") for line in out]


def main():
    dump = sys.argv[1]
    plain, keys = ordinary(), with_keys()
    bad = 0
    blocked = found = likely = 0
    for chunk in (1 << 20, 1, 7, 64):
        for body, (verdict, names) in zip(plain, ask(dump, [(b, "identity", chunk) for b in plain])):
            if verdict not in ("clean", "likely"):
                bad += 1
                print(f"blocked ({chunk}): {names}: {body[:300]}")
            if chunk == 1 << 20:
                blocked += verdict == "sure"
                likely += verdict == "likely"
        for (name, body, _), (verdict, names) in zip(keys, ask(dump, [(b, c, chunk) for _, b, c in keys])):
            if verdict != "sure":
                bad += 1
                print(f"{verdict} ({chunk}): {name}: {names}: {body[:200]}")
            found += chunk == 1 << 20 and verdict == "sure"
    print(f"{len(plain)} ordinary bodies: {blocked} blocked, {likely} with a warning; "
          f"{len(keys)} bodies with {len(KEYS)} kinds of keys: {found} found; "
          f"precision {found / max(1, found + blocked):.4f}, recall {found / len(keys):.4f}")
    total = 4 * (len(plain) + len(keys))
    print(f"{total - bad} passed, {bad} failed")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
