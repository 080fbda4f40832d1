//! The identities of README's table, each with an image that it pulls.

/// One way to say who asks for a login.
pub struct Identity {
    /// Name of its configuration file.
    pub name: &'static str,
    pub title: &'static str,
    /// What the program does with it, for the person who reads the output.
    pub about: &'static str,
    /// The configuration, without its part `credential-provider`.
    pub configuration: &'static str,
    pub image: &'static str,
    pub pulls: Pulls,
    /// The node has a service account token in a file.
    pub token_file: bool,
    /// The request brings a token of this service account (namespace and name).
    pub pod: Option<(&'static str, &'static str)>,
}

/// What the login has to pull.
pub enum Pulls {
    /// A repository of this Enterprise Edition instance.
    Instance(&'static str, &'static str),
    /// A repository of this account in Personal Edition, in this region.
    Personal(&'static str, &'static str, &'static str),
}

/// The cluster is in account 1000000000000001. Registries of other accounts are in 2000000000000002.
pub const IDENTITIES: [Identity; 6] = [
    Identity {
        name: "worker-role",
        title: "worker role",
        about: "The node asks as its own RAM role, with credentials from instance metadata. With them\n\
                it assumes a role in the registry's account.",
        configuration: "\
acr-registry-info:
  - instanceId: cri-acmeprod00000001
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
",
        image: "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v1",
        pulls: Pulls::Instance("cri-acmeprod00000001", "team/app"),
        token_file: false,
        pod: None,
    },
    Identity {
        name: "rrsa-token-file",
        title: "RRSA, token file",
        about: "The node has a service account token in a file. STS exchanges it for a role in the\n\
                cluster's account, and that role assumes the one in the registry's account.",
        configuration: "\
rrsa: {enable: true}
acr-registry-info:
  - instanceId: cri-acmeprod00000001
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com
    rrsaRoleARN: acs:ram::1000000000000001:role/acr-rrsa
    rrsaOIDCProviderRoleARN: acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
",
        image: "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v1",
        pulls: Pulls::Instance("cri-acmeprod00000001", "team/app"),
        token_file: true,
        pod: None,
    },
    Identity {
        name: "pod-identity",
        title: "RRSA, pod identity",
        about: "The kubelet sends a token of the pod's service account with the request\n\
                (`serviceAccountToken`, Kubernetes 1.33 and later). The roles depend on the pod.",
        configuration: "\
rrsa: {enable: true}
acr-registry-info:
  - instanceId: cri-acmeprod00000001
    regionId: cn-hangzhou
    domains: acme-registry.cn-hangzhou.cr.aliyuncs.com
    podIdentity: required
    rrsaRoleARN: acs:ram::1000000000000001:role/team-a-puller
    rrsaOIDCProviderRoleARN: acs:ram::1000000000000001:oidc-provider/ack-rrsa-c0000000000000000000000000000000a
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
",
        image: "acme-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v1",
        pulls: Pulls::Instance("cri-acmeprod00000001", "team/app"),
        token_file: false,
        pod: Some(("team-a", "app")),
    },
    Identity {
        name: "access-key",
        title: "AccessKey",
        about: "The configuration has an AccessKey of a RAM user in the registry's account. There are\n\
                two instances and no `domains`: the registry says which instance the image is in.",
        configuration: "\
acr-registry-info:
  - instanceId: cri-acmeprod00000001,cri-fooregistry00001
    regionId: cn-hangzhou
    customAccessKey: LTAI5tImagePullerOfB0001
    customAccessKeySecret: MadeUpB3pullTk9Dw2Mv7Qz4Xc6Ln0
",
        image: "foo-registry-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v1",
        pulls: Pulls::Instance("cri-fooregistry00001", "team/app"),
        token_file: false,
        pod: None,
    },
    Identity {
        name: "own-account",
        title: "the node's own account, without configuration",
        about: "The registry is in the account of the node. No entry is needed: the node's RAM role\n\
                gets the login, and the registry says which instance the image is in.",
        configuration: "",
        image: "inhouse-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v1",
        pulls: Pulls::Instance("cri-inhouse000000001", "team/app"),
        token_file: false,
        pod: None,
    },
    Identity {
        name: "personal-edition",
        title: "Personal Edition of another account, with the worker role",
        about: "Personal Edition has one host name for a region, and no instance id. The entry has\n\
                none, and the role decides which account's repositories the login pulls.",
        configuration: "\
acr-registry-info:
  - regionId: cn-hangzhou
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
",
        image: "registry.cn-hangzhou.aliyuncs.com/team/app:v1",
        pulls: Pulls::Personal("2000000000000002", "cn-hangzhou", "team/app"),
        token_file: false,
        pod: None,
    },
];

/// An image for the next step; [`ALL_REGISTRIES`] has an entry for it.
pub const NEXT_IMAGE: &str = "foo-registry-registry.cn-hangzhou.cr.aliyuncs.com/team/app:v2";

/// For an image from the command line: the registries of account 2000000000000002 in the simulated
/// cloud, with the worker role.
pub const ALL_REGISTRIES: &str = "\
acr-registry-info:
  - instanceId: cri-acmeprod00000001,cri-acmedev000000001,cri-fooregistry00001
    regionId: cn-hangzhou
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
  - instanceId: cri-globex0000000001
    regionId: cn-shanghai
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
  - regionId: cn-hangzhou
    assumeRoleARN: acs:ram::2000000000000002:role/acr-puller
";
