/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate authorities; see authorities.h. Workers and vault. */
#include "common/authorities.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

int
authorities_load(X509_STORE *store, int fd)
{
	BIO *bio = BIO_new_fd(fd, BIO_CLOSE);
	X509 *cert;
	int n = 0;

	if (bio == NULL)
		return -1;
	while ((cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, cert) == 1)
			n++;
		X509_free(cert);
	}
	ERR_clear_error();
	BIO_free(bio);
	return n > 0 ? 0 : -1;
}
