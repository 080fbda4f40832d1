//! The names of the standard world, for tests that speak of them. See `world.yaml`.

/// The account of the cluster and the one of the registries.
pub const CLUSTER_ACCOUNT: &str = "1000000000000001";
pub const REGISTRY_ACCOUNT: &str = "2000000000000002";

/// The node's role, in the cluster's account.
pub const WORKER_ROLE_NAME: &str = "KubernetesWorkerRole-3a1c5a0e-7b0e-4d3f-9c55-0c1f2e3d4a5b";
pub const WORKER_ROLE: &str =
    "acs:ram::1000000000000001:role/KubernetesWorkerRole-3a1c5a0e-7b0e-4d3f-9c55-0c1f2e3d4a5b";

pub const OIDC_PROVIDER: &str =
    "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a";
/// For the service account `kube-system/aliyun-acr-credential-helper`.
pub const RRSA_ROLE: &str = "acs:ram::1000000000000001:role/acr-rrsa";
/// For any service account of namespace `team-a`.
pub const TEAM_A_ROLE: &str = "acs:ram::1000000000000001:role/team-a-puller";

/// Roles of the registries' account. Sessions of up to 12 h:
pub const PULLER: &str = "acs:ram::2000000000000002:role/acr-puller";
/// Up to 1 h.
pub const PULLER_ONE_HOUR: &str = "acs:ram::2000000000000002:role/acr-puller-one-hour";
/// With [`EXTERNAL_ID`].
pub const PULLER_EXTERNAL: &str = "acs:ram::2000000000000002:role/acr-puller-external";
pub const EXTERNAL_ID: &str = "cluster-a/2026";
/// May list instances as well.
pub const READER: &str = "acs:ram::2000000000000002:role/acr-reader";
/// Can be assumed, and can do nothing then.
pub const WITHOUT_RIGHTS: &str = "acs:ram::2000000000000002:role/acr-without-rights";
/// Trusts nobody in the cluster's account.
pub const FOR_OTHERS: &str = "acs:ram::2000000000000002:role/acr-for-others";

/// The AccessKey of RAM user `image-puller` in the registries' account.
pub const ACCESS_KEY_ID: &str = "LTAI5tImagePullerOfB0001";
pub const ACCESS_KEY_SECRET: &str = "MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0";
/// Another one of the same user, which is disabled.
pub const DISABLED_KEY_ID: &str = "LTAI5tImagePullerOfB0002";
pub const DISABLED_KEY_SECRET: &str = "MadeUpB4idleFj8Gp5Sy1Hb3Vu7Ea0";
/// Of the registries' account itself.
pub const ROOT_KEY_ID: &str = "LTAI5tRootOfRegistryB001";
pub const ROOT_KEY_SECRET: &str = "MadeUpB2rootHn5Ys8Bf3Ug6Je1Ra0";

/// Instances: `acme`, `acme-dev`, `foo-registry` (cn-hangzhou), `globex` (cn-shanghai), and
/// `inhouse` (cn-hangzhou), which is in the cluster's own account.
pub const ACME: &str = "cri-acmeprod00000001";
pub const ACME_DEV: &str = "cri-acmedev000000001";
pub const FOO_REGISTRY: &str = "cri-fooregistry00001";
pub const GLOBEX: &str = "cri-globex0000000001";
pub const INHOUSE: &str = "cri-inhouse000000001";
