/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A self-signed certificate.
 */
#include "aegis/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/cli.h"

#define DAYS 365

static int
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	int r;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	r = e != NULL && X509_add_ext(cert, e, -1) == 1 ? 0 : -1;
	X509_EXTENSION_free(e);
	return r;
}

/* A positive random number of 127 bits (RFC 5280 section 4.1.2.2). */
static int
set_serial(X509 *cert)
{
	BIGNUM *n = BN_new();
	int r = -1;

	if (n != NULL && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL)
		r = 0;
	BN_free(n);
	return r;
}

static X509 *
make(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();

	if (cert == NULL || name == NULL || X509_set_version(cert, X509_VERSION_3) != 1 ||
	    set_serial(cert) == -1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -60) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), DAYS * 86400L) == NULL ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"localhost", -1, -1, 0) != 1 ||
	    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
		(const unsigned char *)"Aegis Local Dev", -1, -1, 0) != 1 ||
	    X509_set_subject_name(cert, name) != 1 ||
	    X509_set_issuer_name(cert, name) != 1 || X509_set_pubkey(cert, key) != 1 ||
	    add_extension(
		cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") == -1 ||
	    add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") == -1 ||
	    add_extension(cert, NID_key_usage, "critical,digitalSignature") == -1 ||
	    add_extension(cert, NID_ext_key_usage, "serverAuth") == -1 ||
	    X509_sign(cert, key, EVP_sha256()) == 0) {
		X509_free(cert);
		cert = NULL;
	}
	X509_NAME_free(name);
	return cert;
}

/* A new file, or NULL after saying why. */
static FILE *
create(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	FILE *f = NULL;

	if (fd >= 0 && fchmod(fd, mode) == 0)
		f = fdopen(fd, "w");
	if (f == NULL) {
		cli_error(errno == EEXIST ? "Remove it first if it is not needed." : NULL,
		    "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return f;
}

int
cert_generate(const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key != NULL ? make(key) : NULL;
	FILE *kf = NULL, *cf = NULL;
	int ok = 0;

	if (cert == NULL) {
		cli_error(NULL, "the certificate cannot be made");
		goto out;
	}
	kf = create(key_path, 0600);
	if (kf == NULL)
		goto out;
	cf = create(cert_path, 0644);
	if (cf == NULL) {
		unlink(key_path);
		goto out;
	}
	ok = PEM_write_PrivateKey(kf, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_X509(cf, cert) == 1;
out:
	if (kf != NULL && fclose(kf) != 0)
		ok = 0;
	if (cf != NULL && fclose(cf) != 0)
		ok = 0;
	if (!ok && cf != NULL) {
		unlink(key_path);
		unlink(cert_path);
		cli_error(NULL, "%s and %s cannot be written", cert_path, key_path);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	return ok ? 0 : -1;
}
