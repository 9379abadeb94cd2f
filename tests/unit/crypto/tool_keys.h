/* Keys as tools write them. None of them guards anything. */
#ifndef DNS01_TESTS_TOOL_KEYS_H
#define DNS01_TESTS_TOOL_KEYS_H

/* openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 */
static const char genpkey_p256_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNGEI6YSBv95ebx0G\n"
	"983xq0t1HeJ41COJzxJSfxlGjmqhRANCAAQTyU0Cgmut7RSbIgok5MPZNtQVK9VP\n"
	"tcXIigRz+MsUmL8drGsR8dWUs76sP4hP+mRk39LSNBoV/DN+JE+Gy44x\n"
	"-----END PRIVATE KEY-----\n";

/* openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 */
static const char genpkey_p384_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDC1J5CbMipMU+XyChHT\n"
	"SI7Cb0V/bofO4IpSuGb5WVwk4+CZ4oihlG5B383KRtglFIihZANiAARGeC77+pip\n"
	"e0FRwldZu7jFZ22b1o/GCmC6ByMwS8YnCO2AA2b3nEovsNriP86IYO5M9DavbQqv\n"
	"/LMmhnkFs8WVZYkNQEHbG88SPIiFkIWIFymd6wiYTbPgf9Jj4MA4S4U=\n"
	"-----END PRIVATE KEY-----\n";

/* openssl ecparam -name prime256v1 -genkey */
static const char ecparam_p256_pem[] =
	"-----BEGIN EC PARAMETERS-----\n"
	"BggqhkjOPQMBBw==\n"
	"-----END EC PARAMETERS-----\n"
	"-----BEGIN EC PRIVATE KEY-----\n"
	"MHcCAQEEIJ3suADiYX/MMjDWxwWdK1uAKkUYnft2r+rejQLVNON+oAoGCCqGSM49\n"
	"AwEHoUQDQgAEfTXhqYa19fBEZnKW1dsJLjQAo+2/ZGD8h6Wg1KV4KRsZ1n4rS2Nn\n"
	"bOeae0JPuPfT3CfK6HpJOShWe9FQm5l3iA==\n"
	"-----END EC PRIVATE KEY-----\n";

/* openssl genrsa 2048 */
static const char genrsa_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCaQCzZGcHy5k6v\n"
	"8WUjfKaQLEkv1jOARnlogcp72NyQ5Lx942V/0DqPIGLvSvkq96oOPeReiOHhfRgG\n"
	"DQ3V1Qj/BmoBa1CPk/NDVvQJLwz5Lw7TCOqWUUX49DfIog3iQNeRmyLczMFH8wm2\n"
	"PdOYtDf6tmziyTgeChRmfFO3QHJ9b72kPX9fbO1cGiGpMrj46z35brEweIB7b9dC\n"
	"054gGANrJkFKpSWwHXOy2kH2f746jrkOFzKgl/xAERKPTn3KD97rQYl+c9h9w5Yt\n"
	"tr4sicarUtG3xiU+Fqw+16+z/esOk+rJoTBbTxlC/y/782+zDLtR9A0DClameXTg\n"
	"ETBmz18pAgMBAAECggEAI65ksXO74axU125HrwXOodscsuwhzbJ/syUS6cMognvm\n"
	"/lfzyrUoVqNvP1tgeAgCVnkKsrOHTNnbDMtIQAafph6dtuZUJGJdC1655MX1gk7Y\n"
	"ZwjQ+yShwwz7OnYCMCw/sXbpgZn7u+EEhhuXLuPBb0VzuqJBUPGT9oEb/G/0C//J\n"
	"Nv7fr8119uatJgSnCY5tgEt1buljpuPX0dqjGFFflIecpLxmYIdamKIi66hzkq3B\n"
	"8NOEZZNwtdjft7ytlzwJsXG451rkHS9w/OEP7ACYYx+nZLPzug3ApBD1kCxs2eMp\n"
	"Befq65zM9Tv8jw+i10AiVseYWtg5mJjI22kSbXBHgQKBgQDHRN2gPkWgqGs0Zlw+\n"
	"Q4C9aBjxjDSEbM9ydzPwG3IxfXaeDxd+nV7gu4KdDhW/jHJMAKmhbZqqVnp8Piy+\n"
	"4QwMY71EM4DT/WCE7NHmC0gnWeRPZFJZpLKV6OPJiMLvSvPZJEafB2g1ILCuFyND\n"
	"8J7FWG7VffF/r9JDfvexsfFT/QKBgQDGKkgeGtozGITYPhREKV45h9y+hVlrxhcp\n"
	"ZMbodpcYwJQxrn/SFZ6jt8TftdUi1P7DQ+nDkfZS+LEbPMsyWR00Pl/Bjz3vbQI8\n"
	"riYl24o6V2AC/tP5S0hZCmi5+Xubm14YP1faFTlJsGhqM4BMmxFCublgi/oZR6sW\n"
	"BRGyM6xhnQKBgEAZFdVK0qjYJAvp9TgODKZgis2AFRCX0671Sx6sJXJn8jTrk9ol\n"
	"kvRlPKF6e2JvMgDioa4MjJjIUoQOl+Qajf6aQrJigskuEtMPPoFqFZ6a2sby9U5i\n"
	"nRN9o3AbbuD8Ui4B7jmPb2TPjCWjybM7/kZqqNRBu+If01nkyJY/L+qdAoGBAKNT\n"
	"b/MYEKUyXTNZHxz6t4VVPBPvFj9kmexs+h/YtjoZZ0r3VrRRS1oGeYYkeNFnmb5Y\n"
	"eA/PeqTyAg6/8X3CwvYvPn7qz5JJVyGqKxjitC/XmfN+EjmS2cNBeAVn4X/j8w6r\n"
	"Dn5ZJcldUwHNBr6cxAIpzucLF4vEbPcOIIKuYjJlAoGBAK5hUbQ+aXAoL4qXf8aD\n"
	"ZWZeBfJxGCvtrYafAfBKKtFyq5wAdeuS+o6SsQObHEzfQvZPU/bYviE2VJMRQIr2\n"
	"d5mNkZRVxabyVNliy84BgFxiXXwrNdYrWOxsVavpQHXrjUsTwrBQ+UvslnNJhlCt\n"
	"su8DGdQEdTf+HMz0lTMOxbRv\n"
	"-----END PRIVATE KEY-----\n";

/* the same by openssl rsa -traditional */
static const char genrsa_traditional_pem[] =
	"-----BEGIN RSA PRIVATE KEY-----\n"
	"MIIEpAIBAAKCAQEAmkAs2RnB8uZOr/FlI3ymkCxJL9YzgEZ5aIHKe9jckOS8feNl\n"
	"f9A6jyBi70r5KveqDj3kXojh4X0YBg0N1dUI/wZqAWtQj5PzQ1b0CS8M+S8O0wjq\n"
	"llFF+PQ3yKIN4kDXkZsi3MzBR/MJtj3TmLQ3+rZs4sk4HgoUZnxTt0ByfW+9pD1/\n"
	"X2ztXBohqTK4+Os9+W6xMHiAe2/XQtOeIBgDayZBSqUlsB1zstpB9n++Oo65Dhcy\n"
	"oJf8QBESj059yg/e60GJfnPYfcOWLba+LInGq1LRt8YlPhasPtevs/3rDpPqyaEw\n"
	"W08ZQv8v+/Nvswy7UfQNAwpWpnl04BEwZs9fKQIDAQABAoIBACOuZLFzu+GsVNdu\n"
	"R68FzqHbHLLsIc2yf7MlEunDKIJ75v5X88q1KFajbz9bYHgIAlZ5CrKzh0zZ2wzL\n"
	"SEAGn6YenbbmVCRiXQteueTF9YJO2GcI0PskocMM+zp2AjAsP7F26YGZ+7vhBIYb\n"
	"ly7jwW9Fc7qiQVDxk/aBG/xv9Av/yTb+36/NdfbmrSYEpwmObYBLdW7pY6bj19Ha\n"
	"oxhRX5SHnKS8ZmCHWpiiIuuoc5KtwfDThGWTcLXY37e8rZc8CbFxuOda5B0vcPzh\n"
	"D+wAmGMfp2Sz87oNwKQQ9ZAsbNnjKQXn6uuczPU7/I8PotdAIlbHmFrYOZiYyNtp\n"
	"Em1wR4ECgYEAx0TdoD5FoKhrNGZcPkOAvWgY8Yw0hGzPcncz8BtyMX12ng8Xfp1e\n"
	"4LuCnQ4Vv4xyTACpoW2aqlZ6fD4svuEMDGO9RDOA0/1ghOzR5gtIJ1nkT2RSWaSy\n"
	"lejjyYjC70rz2SRGnwdoNSCwrhcjQ/CexVhu1X3xf6/SQ373sbHxU/0CgYEAxipI\n"
	"HhraMxiE2D4URCleOYfcvoVZa8YXKWTG6HaXGMCUMa5/0hWeo7fE37XVItT+w0Pp\n"
	"w5H2UvixGzzLMlkdND5fwY89720CPK4mJduKOldgAv7T+UtIWQpoufl7m5teGD9X\n"
	"2hU5SbBoajOATJsRQrm5YIv6GUerFgURsjOsYZ0CgYBAGRXVStKo2CQL6fU4Dgym\n"
	"YIrNgBUQl9Ou9UserCVyZ/I065PaJZL0ZTyhentibzIA4qGuDIyYyFKEDpfkGo3+\n"
	"mkKyYoLJLhLTDz6BahWemtrG8vVOYp0TfaNwG27g/FIuAe45j29kz4wlo8mzO/5G\n"
	"aqjUQbviH9NZ5MiWPy/qnQKBgQCjU2/zGBClMl0zWR8c+reFVTwT7xY/ZJnsbPof\n"
	"2LY6GWdK91a0UUtaBnmGJHjRZ5m+WHgPz3qk8gIOv/F9wsL2Lz5+6s+SSVchqisY\n"
	"4rQv15nzfhI5ktnDQXgFZ+F/4/MOqw5+WSXJXVMBzQa+nMQCKc7nCxeLxGz3DiCC\n"
	"rmIyZQKBgQCuYVG0PmlwKC+Kl3/Gg2VmXgXycRgr7a2GnwHwSirRcqucAHXrkvqO\n"
	"krEDmxxM30L2T1P22L4hNlSTEUCK9neZjZGUVcWm8lTZYsvOAYBcYl18KzXWK1js\n"
	"bFWr6UB1641LE8KwUPlL7JZzSYZQrbLvAxnUBHU3/hzM9JUzDsW0bw==\n"
	"-----END RSA PRIVATE KEY-----\n";

/* openssl pkey -aes256 */
static const char encrypted_pkcs8_pem[] =
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
	"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhoNtbPpRxr1AICCAAw\n"
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMpMSpTDb8nfK6hb4qvTZjoEgZC6\n"
	"AczLI5/bQ85lvaEfm1JAHC3b2srf8BdzNuTHIYZ3lTCfHxRplZEHSrybuC4TjbIC\n"
	"OarelbANXyXl+LrU+DInxbg89uuk685tjKA48XJ3HrKkcyDsZx+1PuFke6SKjLT/\n"
	"kwN7MZSR8ySqiv6MtWX2dUKWfrA8fwnE7r68p83hzF3t9wzUrHd954eannVMQFU=\n"
	"-----END ENCRYPTED PRIVATE KEY-----\n";

/* openssl ec -aes128 */
static const char encrypted_sec1_pem[] =
	"-----BEGIN EC PRIVATE KEY-----\n"
	"Proc-Type: 4,ENCRYPTED\n"
	"DEK-Info: AES-128-CBC,517DDFDF2CBE67D780DA70F2F89AEC81\n"
	"\n"
	"0RociaL6fPUI8UOM+Nq8BHWeU8TzN0cT7xuu3djRWynnS5ZJeKmbFwQw9ZZHyWM0\n"
	"vcIqQpYJh26lV7jhAzDj9FtFyNP1w97TYJiLQ7nV4BKoa6qDOYPxD2yNmOru6R8s\n"
	"k10dMs0Ks9h0hOhb+KmpAcrv1BeCKmG8yrohgF3rYD0=\n"
	"-----END EC PRIVATE KEY-----\n";

/* openssl genpkey -algorithm ED25519 */
static const char ed25519_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEIIUa+DNJtacsmoSE2jrRXAOotp72hovJ/zGhZs2yAu8u\n"
	"-----END PRIVATE KEY-----\n";

/* openssl ecparam -name secp521r1 -genkey -noout */
static const char p521_pem[] = "-----BEGIN EC PRIVATE KEY-----\n"
			       "MIHcAgEBBEIBNiJgOKZccLd8qZZtVRUIdxqXYHwGjG/Hsrqy3fVkzytlp7HtU4kA\n"
			       "o/V/5XiDFW/0mxywism/UYQkjv5bAIXBiRegBwYFK4EEACOhgYkDgYYABABeuydc\n"
			       "M22yvl6cgSTLNlosZGJsrDylOtADKHVQeELYs/72TcmS3J+AtbqsdD3FAydYFeTa\n"
			       "K3DT8vMk3+nXMJFIigCDaeNSzG/CxHzqgioS2FFPulGaCSGgszyb5CtCTon9y0fm\n"
			       "cVVhmpiWirhKTiX3EwoOckgiQhcx/R6HNEOzVdV3Uw==\n"
			       "-----END EC PRIVATE KEY-----\n";

/* openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout */
static const char explicit_pem[] =
	"-----BEGIN EC PRIVATE KEY-----\n"
	"MIIBaAIBAQQg2kOsFPBBaf30oObOP8TQ9PWM4+mvGGP9m+aEa5Mpy4eggfowgfcC\n"
	"AQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAAAAAAAAAAAAAA////////////////\n"
	"MFsEIP////8AAAABAAAAAAAAAAAAAAAA///////////////8BCBaxjXYqjqT57Pr\n"
	"vVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSdNgiG5wSTamZ44ROdJreBn36QBEEE\n"
	"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54W\n"
	"K84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA//////////+85vqtpxeehPO5ysL8\n"
	"YyVRAgEBoUQDQgAEVfrVYI9ZEEI08FOHe1U5zCQN+iiEEB6/tofMrb4Zd2hdJQgT\n"
	"mts9yAFvNaWSMe4WH4c8iZeeB1EwGd0Q16+T+g==\n"
	"-----END EC PRIVATE KEY-----\n";

/* openssl genrsa 1024 */
static const char rsa1024_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBALpLjJsmJkl5xwjF\n"
	"mT0BxJxB14JbmswEqqdBL/CzNek6ae6Jcy7WGPer5iwDHRA8oNkpLbYP2g6IrkJK\n"
	"4B1ePlN0iqU7MTK3DIQc5ecOIjXMyyT35ieps+nqmDD11HLi107sZF8b+u/GEh9w\n"
	"gI3EjhbtaPkcDgUPFx+4aJ1A9rkTAgMBAAECgYEAgdJAC6ZMLAvG3aAFp3Ph9RoU\n"
	"+myntODTo3ZT2CKqwPrJ80apk8vy3jVWUvlgeX4mgO6nQiZNyK8K8HuJLi4Ms56b\n"
	"JgGUyeuqnKHsXfxbOEIcs1uuDNCy6wg1ksl24Ay4Nhnn9H5endzr2Y61kG7rAHFP\n"
	"xnTkM0k3hUcl+QCC9SECQQDoneXjti7r+n3EmILJQ7aQHFMWVT+IdFz43JsWQzLQ\n"
	"ImVn1Mk0dUW1k0mpIzOv3EKfjFmiHVLjeNEyDyRLtBc5AkEAzQWe8w916tELgphk\n"
	"kVIIXz2X1yHN6ijZnse7gJohy3iuzk48NzbCzzR7YelKZ8UxrXpfTTdm4arCXOVc\n"
	"Wz7mqwJAROBD6onOGOdBiA2UZB2dl8wbOfih6Dh0Mue3L/9Ts1cL6ZOSw+qZamsj\n"
	"G2al7kNsoqs++wZtvZbPcmATYir/2QJAT/kNU4qIWJxKfRqsv/LbySrhe8134Qsm\n"
	"OEV44mU9IX1l0pu56V+3BdRW/I5fs7K7+gtt+VTPEN/nCQ1+xSj4GQJAR/SVTuk6\n"
	"sYWNcRG72DjfE3AYSgNy2bA+LeOTRUzAsgINr7P0VHGVCChuAKQ0B1125vch6oSI\n"
	"Iagq4qdOdx3yaA==\n"
	"-----END PRIVATE KEY-----\n";

/* openssl pkey -pubout */
static const char public_pem[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEE8lNAoJrre0UmyIKJOTD2TbUFSvV\n"
	"T7XFyIoEc/jLFJi/HaxrEfHVlLO+rD+IT/pkZN/S0jQaFfwzfiRPhsuOMQ==\n"
	"-----END PUBLIC KEY-----\n";

#endif
