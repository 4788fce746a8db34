/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent may ask about itself, over HTTP. Judge only. */
#ifndef AEGIS_JUDGE_API_SERVICE_H
#define AEGIS_JUDGE_API_SERVICE_H

#include "keymasterd/judge/api.h"

/* GET /v1/services: {services: [...], total}, without a secret. */
void api_services(struct api_call *);
/* GET /v1/health: {status, version, credentials{}, authenticatedAgent}. */
void api_health(struct api_call *);

#endif
