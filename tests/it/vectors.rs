//! What others computed: signatures by the vendor's Python SDK, endpoints from its metadata.

use std::fs;

use aliyun_acr_credential_provider::aliyun::endpoint::{Endpoint, Network};
use aliyun_acr_credential_provider::aliyun::ids::Region;
use aliyun_acr_credential_provider::aliyun::signature::{self, acs3, v1};
use serde_json::{Map, Value};

use crate::TESTS;

fn read(name: &str) -> Value {
    let path = format!("{TESTS}/vectors/{name}.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn pairs(map: &Value) -> Vec<(&str, &str)> {
    map.as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect()
}

fn text<'v>(vector: &'v Value, field: &str) -> &'v str {
    vector[field].as_str().unwrap()
}

#[test]
fn rpc_signatures() {
    let vectors = read("rpc-signature-v1");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 18);
    for vector in vectors {
        let name = text(vector, "description");
        let signed = v1::rpc_string_to_sign(text(vector, "method"), &pairs(&vector["params"]));
        assert_eq!(signed, text(vector, "string_to_sign"), "{name}");
        let signature = v1::rpc_signature(text(vector, "access_key_secret"), &signed);
        assert_eq!(signature, text(vector, "signature"), "{name}");
        if text(vector, "mode") == "composer" {
            let mut query = pairs(&vector["query_params"]);
            query.push(("Signature", &signature));
            assert_eq!(signature::form_encode(&query), text(vector, "final_query"), "{name}");
            let body = signature::form_encode(&pairs(&vector["body_params"]));
            assert_eq!(body, text(vector, "final_body"), "{name}");
        }
    }
}

#[test]
fn roa_signatures() {
    let vectors = read("roa-signature-v1");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 7);
    for vector in vectors {
        let name = text(vector, "description");
        let (method, path) = (text(vector, "method"), text(vector, "path"));
        let query = pairs(&vector["params"]);
        let signed = v1::roa_string_to_sign(method, path, &query, &pairs(&vector["headers"]));
        assert_eq!(signed, text(vector, "string_to_sign"), "{name}");
        let signature = v1::roa_signature(text(vector, "access_key_secret"), &signed);
        assert_eq!(signature, text(vector, "signature"), "{name}");
        let authorization = format!("acs {}:{signature}", text(vector, "access_key_id"));
        assert_eq!(authorization, text(vector, "authorization"), "{name}");
    }
}

#[test]
fn acs3_signatures() {
    let vectors = read("acs3-signature");
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 86);
    for vector in vectors {
        let name = text(vector, "description");
        let (method, path) = (text(vector, "method"), text(vector, "path"));
        let headers = pairs(&vector["headers"]);
        let hash = acs3::hash(text(vector, "body"));
        assert_eq!(hash, text(vector, "payload_hash"), "{name}");
        let query = pairs(&vector["query_params"]);
        let request = acs3::canonical_request(method, path, &query, &headers, &hash);
        assert_eq!(request, text(vector, "canonical_request"), "{name}");
        let signed = acs3::string_to_sign(&acs3::hash(&request));
        assert_eq!(signed, text(vector, "string_to_sign"), "{name}");
        let signature = acs3::signature(text(vector, "access_key_secret"), &signed);
        assert_eq!(signature, text(vector, "signature"), "{name}");
        let authorization =
            acs3::authorization(text(vector, "access_key_id"), &headers, &signature);
        assert_eq!(authorization, text(vector, "authorization"), "{name}");
    }
}

/// Every row of the vendor's listing comes out of the pattern and its exceptions.
#[test]
fn endpoints() {
    let listing = read("endpoints");
    let rows =
        |service: &str| -> Map<String, Value> { listing[service].as_object().unwrap().clone() };
    let sts = |region: &Region, network| Endpoint::sts(Some(region), network, true);
    let cr = |region: &Region, network| Endpoint::cr(region, network, true);
    check(&rows("sts"), sts);
    check(&rows("cr"), cr);
    assert_eq!(rows("sts").len(), 32);
    assert_eq!(rows("cr").len(), 39);
}

fn check(rows: &Map<String, Value>, endpoint: impl Fn(&Region, Network) -> Endpoint) {
    for (name, hosts) in rows {
        let region = Region::parse(name).unwrap();
        let public = hosts["public"].as_str().unwrap();
        let internet = endpoint(&region, Network::Internet);
        if public == "sts.aliyuncs.com" {
            // Current SDKs have the regional host, and this listing the one before it.
            let regional = format!("https://sts.{name}.aliyuncs.com");
            for candidates in [&internet, &endpoint(&region, Network::Auto)] {
                while candidates.current().url != regional {
                    assert!(candidates.next(), "{name}");
                }
                assert!(candidates.next(), "{name}");
                assert_eq!(candidates.current().url, "https://sts.aliyuncs.com", "{name}");
            }
            continue;
        }
        assert_eq!(internet.current().url, format!("https://{public}"), "{name}");
        assert!(!internet.next(), "{name} has one public host");
        let auto = endpoint(&region, Network::Auto);
        // Where no VPC host is listed the automatic choice goes to the public one, but for
        // cn-huhehaote, whose VPC host an older listing has.
        if let Some(vpc) = hosts["vpc"].as_str() {
            assert_eq!(
                endpoint(&region, Network::Vpc).current().url,
                format!("https://{vpc}"),
                "{name}"
            );
            assert_eq!(auto.current().url, format!("https://{vpc}"), "{name}");
            assert!(auto.next());
        } else if name == "cn-huhehaote" {
            assert_eq!(auto.current().url, "https://cr-vpc.cn-huhehaote.aliyuncs.com");
            assert!(auto.next());
        }
        assert_eq!(auto.current().url, format!("https://{public}"), "{name}");
        assert!(!auto.next());
    }
}

/// A region that no listing has: the pattern, and for STS the global host after it.
#[test]
fn unlisted_regions_follow_the_pattern() {
    let region = Region::parse("cn-newplace-1").unwrap();
    let sts = Endpoint::sts(Some(&region), Network::Internet, false);
    assert_eq!(sts.current().url, "https://sts.cn-newplace-1.aliyuncs.com");
    assert!(sts.next());
    assert_eq!(sts.current().url, "https://sts.aliyuncs.com");
    assert_eq!(sts.given_up(), ["sts.cn-newplace-1.aliyuncs.com"]);
    let cr = Endpoint::cr(&region, Network::Vpc, false);
    assert_eq!(cr.current().url, "https://cr-vpc.cn-newplace-1.aliyuncs.com");
    assert_eq!(Endpoint::sts(None, Network::Auto, true).current().url, "https://sts.aliyuncs.com");
}
