# SPDX-License-Identifier: Apache-2.0
"""Who may ask the API: operators' tokens of our own and of an identity provider, and all the
tokens that are none."""

import base64
import hashlib
import hmac
import json
import time

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from seal_client import SealClient


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n):
    return b64url(n.to_bytes((n.bit_length() + 7) // 8, "big"))


def jwt(header, claims, sign):
    text = b64url(json.dumps(header).encode()) + "." + b64url(json.dumps(claims).encode())
    return text + "." + b64url(sign(text.encode()))


class Provider:
    """An identity provider: two RSA keys, and keys of other kinds in the same set."""

    def __init__(self, path):
        self.keys = {k: rsa.generate_private_key(65537, 2048) for k in ("one", "two")}
        self.small = rsa.generate_private_key(65537, 1024)
        self.ed = ed25519.Ed25519PrivateKey.generate()
        point = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
        jwks = [self.jwk(k, v) for k, v in self.keys.items()]
        jwks.insert(0, {"kty": "EC", "crv": "P-256", "kid": "ec", "x": number(point.x), "y": number(point.y)})
        jwks.insert(0, {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64url(self.ed.public_key().public_bytes_raw())})
        jwks.append(self.jwk("small", self.small))
        jwks.append({**self.jwk("encrypts", self.keys["one"]), "use": "enc"})
        jwks.append({**self.jwk("pss", self.keys["one"]), "alg": "PS256"})
        path.write_text(json.dumps({"keys": jwks}))

    @staticmethod
    def jwk(kid, key):
        n = key.public_key().public_numbers()
        return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": number(n.n), "e": number(n.e)}

    def claims(self, **change):
        now = int(time.time())
        claims = {"iss": "https://login.example/realms/aegis", "aud": ["account", "aegis-gateway"], "sub": "ann",
                  "aegis_role": "aegis:admin", "iat": now, "exp": now + 300}
        claims.update(change)
        return {k: v for k, v in claims.items() if v is not None}

    def token(self, kid="one", key=None, alg="RS256", **change):
        key = key or self.keys[kid]
        header = {"alg": alg, "typ": "JWT"}
        if kid is not None:
            header["kid"] = kid
        return jwt(header, self.claims(**change),
                   lambda t: key.sign(t, padding.PKCS1v15(), hashes.SHA256()))


@pytest.fixture(scope="module")
def provider(module_place):
    return Provider(module_place / "operators.json")


@pytest.fixture(scope="module")
def lab(prefix, ca, module_place, provider):
    from lab import Lab

    lab = Lab(prefix, module_place / "aegis", ca=ca, extra=f"""\
operators:
  jwks_file: {module_place}/operators.json
  issuer: https://login.example/realms/aegis
""", contexts="contexts:\n  - name: reader\n    capabilities:\n      - tool_pattern: echo\n")
    lab.init()
    lab.start()
    lab.token = lab.agent("bot", contexts=["reader"])
    yield lab
    lab.stop()


def ask(lab, token, method="GET", path="/v1/seal/sessions"):
    headers = {"Authorization": token if " " in token else "Bearer " + token}
    return requests.request(method, lab.url + path, headers=headers, timeout=10)


def own(lab, role="operator", ttl="10m"):
    return lab.json("operator", "token", "--role", role, "--ttl", ttl, "--name", "tester")["token"]


def session(lab):
    c = SealClient(lab.url, lab.token, "reader")
    return c, c.attest()


def refused(answer, status):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["status"] == "error" and body["error"]["message"] and body["error"]["request_id"]
    return body


def test_our_own_tokens(lab):
    _, made = session(lab)
    for role in ("readonly", "operator", "admin"):
        answer = ask(lab, own(lab, role))
        assert answer.status_code == 200
        assert made["session_id"] in [s["session_id"] for s in answer.json()]
        assert "security_token" not in answer.text
    plain = lab.aegis("operator", "token").stdout.strip()
    assert ask(lab, plain).status_code == 200
    rows = [r for r in lab.ledger() if r.get("event") == "operator.token"]
    assert rows and "tester, role readonly, 600 s" in rows[0]["detail"]
    assert plain not in json.dumps(lab.ledger())


def test_roles(lab):
    _, made = session(lab)
    path = "/v1/seal/sessions/" + made["execution_id"]
    reader = own(lab, "readonly")
    assert ask(lab, reader, path=path).json()["session_status"] == "Active"
    refused(ask(lab, reader, "DELETE", path), 403)
    done = ask(lab, own(lab), "DELETE", path)
    assert done.status_code == 200 and done.json()["session_status"] == "Revoked"
    row = lab.rows_of(done.headers["X-Aegis-Request-Id"])[0]
    assert (row["kind"], row["event"], row["operator"]) == ("admin", "SessionRevoked", "tester")
    assert row["exec"] == made["execution_id"]
    refused(ask(lab, own(lab), "DELETE", path), 404)
    assert ask(lab, reader, path=path).json()["session_status"] == "Revoked"
    for bad in ("--role=boss", "--ttl=2d", "--ttl=1s", "--ttl=soon"):
        assert lab.aegis("operator", "token", bad, check=False).returncode == 2


def test_sessions_of_the_command_line(lab):
    c = SealClient(lab.url, lab.token, "reader")
    flags = ("--agent", "bot", "--context", "reader", "--key", c.public_key(), "--execution")
    made = lab.json("session", "create", *flags, "cli-1", "--tools", "echo,read_*", "--ttl", "5m",
                    "--workload", "batch 7")
    assert (made["execution_id"], made["sub"], made["session_status"]) == ("cli-1", "bot", "Active")
    assert made["allowed_tool_patterns"] == ["echo", "read_*"]
    for name in (made["session_id"], "cli-1"):
        shown = lab.json("session", "show", name)
        assert "security_token" not in shown and shown.items() <= made.items()
        assert shown == ask(lab, own(lab), path="/v1/seal/sessions/" + name).json()
    row = next(r for r in lab.ledger() if r.get("session") == made["session_id"])
    assert (row["kind"], row["event"], row["workload"]) == ("admin", "session.create", "batch 7")
    assert (row["agent"], row["exec"], row["key"]) == ("bot", "cli-1", c.public_key()) and "uid" in row["peer"]
    c.token = made["security_token"]
    assert c.invoke("ping") == {}
    # the next one of this execution ends it; without --json there is the token alone
    c.token = lab.aegis("session", "create", *flags, "cli-1").stdout.strip()
    assert c.invoke("ping") == {}
    assert lab.json("session", "show", made["session_id"])["reason"] == "replaced"
    assert c.token not in json.dumps(lab.ledger())
    lab.aegis("session", "revoke", "cli-1")
    for args in (("create", *flags, "cli-1"), ("show", "no-such-thing"),
                 ("create", "--agent", "bot", "--context", "nowhere", *flags[4:], "cli-2"),
                 ("create", *flags[:4], "--key", "c2hvcnQ=", "--execution", "cli-2"),
                 ("create", *flags, "cli-2", "--tools", "a*b*c")):
        done = lab.aegis("session", *args, check=False)
        assert done.returncode == 3 and done.stderr, args
    for args in (("show",), ("create", *flags[:-1]), ("create", *flags, "cli-2", "--ttl", "2d")):
        assert lab.aegis("session", *args, check=False).returncode == 2
    assert lab.aegis("ledger", "verify", "--signatures").returncode == 0


def test_the_providers_tokens(lab, provider):
    assert ask(lab, provider.token("one")).status_code == 200
    assert ask(lab, provider.token("two", aud="aegis-gateway")).status_code == 200
    assert ask(lab, "bearer  " + provider.token("two")).status_code == 200
    assert ask(lab, provider.token(aegis_role=["other", "aegis:readonly"])).status_code == 200
    _, made = session(lab)
    path = "/v1/seal/sessions/" + made["execution_id"]
    refused(ask(lab, provider.token(aegis_role="aegis:readonly"), "DELETE", path), 403)
    assert ask(lab, provider.token(aegis_role="aegis:operator"), "DELETE", path).status_code == 200


def test_tenants(lab, provider):
    """Another tenant's record looks the same as none."""
    _, made = session(lab)
    foreign = provider.token(tenant_id="other")
    assert ask(lab, foreign).json() == []
    assert ask(lab, provider.token(tenant_id="default")).json() != []
    for method in ("GET", "DELETE"):
        a = refused(ask(lab, foreign, method, "/v1/seal/sessions/" + made["execution_id"]), 404)
        b = refused(ask(lab, foreign, method, "/v1/seal/sessions/no-such-thing"), 404)
        for body in (a, b):
            del body["error"]["timestamp"], body["error"]["request_id"]
        assert a == b
    refused(ask(lab, provider.token(tenant_id="")), 401)
    refused(ask(lab, provider.token(tenant_id=7)), 401)
    # nor are there receipts of its rows
    row = next(r for r in lab.ledger() if r.get("session") == made["session_id"])
    for what in (row["seq"], row["request"]):
        path = f"/v1/receipts/{what}"
        assert ask(lab, provider.token(tenant_id="default"), path=path).json()["row"] == row
        body = refused(ask(lab, foreign, path=path), 404)
        none = refused(ask(lab, foreign, path="/v1/receipts/999999999"), 404)
        assert body["error"]["message"] == none["error"]["message"]


def test_refused(lab, provider):
    now = int(time.time())
    pem = provider.keys["one"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def hs256(kid):
        return jwt({"alg": "HS256", "typ": "JWT", "kid": kid}, provider.claims(),
                   lambda t: hmac.new(pem, t, hashlib.sha256).digest())

    def header(h, key="one"):
        return jwt(h, provider.claims(), lambda t: provider.keys[key].sign(t, padding.PKCS1v15(), hashes.SHA256()))

    bad = {
        "nothing": "Bearer ",
        "basic": "Basic YTpi",
        "words": "not.a.token",
        "expired": provider.token(exp=now - 1),
        "no exp": provider.token(exp=None),
        "not yet": provider.token(nbf=now + 100),
        "from the future": provider.token(iat=now + 1000, exp=now + 2000),
        "audience": provider.token(aud="account"),
        "no audience": provider.token(aud=None),
        "issuer": provider.token(iss="https://evil.example"),
        "no issuer": provider.token(iss=None),
        "no sub": provider.token(sub=None),
        "NUL in sub": provider.token(sub="root\0x"),
        "two lines in tenant": provider.token(tenant_id="a\nb"),
        "our issuer, their key": provider.token(iss="aegis", aud="aegis-operators"),
        "HS256 with the public key": hs256("one"),
        "HS256 with another kid": hs256("ed"),
        "none": jwt({"alg": "none", "typ": "JWT", "kid": "one"}, provider.claims(), lambda t: b""),
        "None": jwt({"alg": "None", "typ": "JWT", "kid": "one"}, provider.claims(), lambda t: b"x"),
        "the other key's kid": provider.token("two", key=provider.keys["one"]),
        "unknown kid": provider.token("three", key=provider.keys["one"]),
        "no kid": provider.token(None, key=provider.keys["one"]),
        "kid is a path": provider.token("../../one", key=provider.keys["one"]),
        "kid is a number": header({"alg": "RS256", "kid": 1}),
        "small key": provider.token("small", key=provider.small),
        "encryption key": provider.token("encrypts", key=provider.keys["one"]),
        "PSS key": provider.token("pss", key=provider.keys["one"]),
        "PS256": jwt({"alg": "PS256", "kid": "one"}, provider.claims(), lambda t: provider.keys["one"].sign(
            t, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())),
        "Ed25519 key of the set": jwt({"alg": "EdDSA", "kid": "ed"}, provider.claims(), provider.ed.sign),
        "RS256 under an Ed25519 kid": provider.token("ed", key=provider.keys["one"]),
        "crit": header({"alg": "RS256", "kid": "one", "crit": ["exp"]}),
        "key in the header": header({"alg": "RS256", "kid": "x", "jwk": provider.jwk("x", provider.keys["one"])}),
        "the agent's token": lab.token,
        "a security token": session(lab)[0].token,
    }
    for what, token in bad.items():
        answer = ask(lab, token)
        refused(answer, 401), what
        assert answer.headers["WWW-Authenticate"] == "Bearer", what
    for role in (None, "", "admin", "aegis:nobody", 7, [], {"aegis:admin": 1}, ["x"]):
        refused(ask(lab, provider.token(aegis_role=role)), 403)
    good = provider.token()
    for i in range(0, len(good), 7):
        changed = good[:i] + ("A" if good[i] != "A" else "B") + good[i + 1:]
        assert ask(lab, changed).status_code in (401, 403), i
    assert requests.get(lab.url + "/v1/seal/sessions", timeout=10).status_code == 401


def test_operators_are_no_agents(lab, provider):
    """A token for the API opens nothing of an agent's."""
    for token in (own(lab, "admin"), provider.token()):
        answer = requests.post(lab.url + "/v1/seal/attest", json={
            "public_key": SealClient(lab.url, "", "reader").public_key(), "security_context": "reader"},
            headers={"Authorization": "Bearer " + token}, timeout=10)
        assert refused(answer, 401)["error_code"] == 3000
        c, _ = session(lab)
        c.token = token
        answer = c.post(c.envelope("ping"))
        assert answer.status_code == 401 and answer.json()["error"]["code"] in (1004, 1005)


def test_expired(lab, provider):
    token = provider.token(exp=int(time.time()) + 1)
    assert ask(lab, token).status_code == 200
    time.sleep(1.2)
    refused(ask(lab, token), 401)


def test_routes(lab):
    a = requests.post(lab.url + "/v1/seal/sessions/x", json={}, timeout=10)
    refused(a, 405)
    assert a.headers["Allow"] == "GET, DELETE"
    refused(requests.get(lab.url + "/v1/no/such", timeout=10), 404)
    refused(requests.get(lab.url + "/v1/seal/sessions/", timeout=10), 404)
    refused(requests.get(lab.url + "/v1/seal/sessions/a/b", timeout=10), 404)
    head = requests.head(lab.url + "/.well-known/jwks.json", timeout=10)
    assert head.status_code == 200 and head.text == "" and int(head.headers["Content-Length"]) > 0


def test_configuration_says_what_is_wrong(fresh, place):
    def check(text, extra):
        file = place / "keys.json"
        file.write_text(text)
        lab = fresh(extra=extra.format(file=file))
        done = lab.aegis("config", "validate", check=False)
        assert done.returncode != 0
        return done.stdout + done.stderr

    both = "operators:\n  jwks_file: {file}\n  issuer: them\n"
    assert "no JSON Web Key Set: it is not JSON" in check("{", both)
    assert 'no list "keys"' in check("[]", both)
    assert "no usable key" in check('{"keys":[]}', both)
    assert "operators.issuer" in check('{"keys":[]}', "operators:\n  jwks_file: {file}\n")
    assert "seal.issuer" in check('{"keys":[]}', "operators:\n  jwks_file: {file}\n  issuer: aegis\n")
    assert "kept for other tokens" in check("", "seal:\n  audience: aegis-operators\n")
    agents = "seal:\n  issuers:\n  - issuer: them\n    jwks_file: {file}\n    audience: aegis-gateway\n"
    assert "expected another audience" in check('{"keys":[]}', both + agents)


def test_tokens_end_one_by_one(lab):
    """A token is good while it is known: until its time is over, it is revoked, or all of its name
    are; and a restart changes nothing of that."""
    make = lambda name, role="admin": lab.json("operator", "token", "--name", name, "--role", role)["token"]  # noqa: E731
    first, second, other = make("rita"), make("rita", "operator"), make("olga")
    listed = [t for t in lab.json("operator", "list") if t["name"] in ("rita", "olga")]
    assert [(t["name"], t["role"]) for t in listed] == [("rita", "admin"), ("rita", "operator"), ("olga", "admin")]
    assert not [t for t in (first, second, other) if t in json.dumps(listed)]
    assert [ask(lab, t).status_code for t in (first, second, other)] == [200] * 3
    lab.aegis("operator", "revoke", "--id", listed[0]["id"])
    gone = ask(lab, first)
    assert gone.status_code == 401 and "revoked" in gone.text
    assert [ask(lab, t).status_code for t in (second, other)] == [200] * 2
    again = lab.aegis("operator", "revoke", "--id", listed[0]["id"], check=False)
    assert again.returncode == 3 and "There is no such token" in again.stderr
    third = make("rita")
    lab.aegis("operator", "revoke", "--name", "rita")
    assert [ask(lab, t).status_code for t in (first, second, third, other)] == [401, 401, 401, 200]
    assert [t["name"] for t in lab.json("operator", "list") if t["name"] in ("rita", "olga")] == ["olga"]
    rows = [r["detail"] for r in lab.ledger() if r.get("event") == "operator.revoke"]
    assert len(rows) == 3 and f"jti {listed[0]['id']}" in rows[0]
    assert lab.aegis("operator", "revoke", check=False).returncode == 2
    lab.stop()
    lab.start()
    assert [ask(lab, t).status_code for t in (third, other)] == [401, 200]
