//! What an answer is wrapped in: JSON if asked for, else XML.

use serde_json::{Map, Value as Json};

use super::super::backend::Trace;
use super::super::failure::Failure;
use super::super::hop::Service;
use super::super::http::{Request, Response};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    Json,
    Xml,
}

impl Format {
    /// The default is XML [doc: common parameters].
    pub(super) fn of_parameter(format: Option<&str>) -> Self {
        if format.is_some_and(|format| format.eq_ignore_ascii_case("json")) {
            Self::Json
        } else {
            Self::Xml
        }
    }

    /// An ROA request says it in `Accept`.
    pub(super) fn of_accept(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("json")) { Self::Json } else { Self::Xml }
    }
}

pub(in super::super) struct Envelope {
    pub(super) format: Format,
    /// Names the outermost element of an XML answer.
    pub(super) action: String,
    product: &'static str,
    host_id: String,
}

impl Envelope {
    pub(in super::super) fn new(service: Service, request: &Request, region: Option<&str>) -> Self {
        let (product, host) = match service {
            Service::Sts => ("Sts", "sts.aliyuncs.com".to_owned()),
            _ => ("cr", format!("cr.{}.aliyuncs.com", region.unwrap_or("cn-hangzhou"))),
        };
        let asked = request.host_name();
        let host_id = if asked.ends_with(".aliyuncs.com") { asked } else { host };
        Self { format: Format::Xml, action: "Error".to_owned(), product, host_id }
    }

    /// For an error that a fault puts in: faults are about clients that ask for JSON.
    pub(in super::super) fn json(mut self) -> Self {
        self.format = Format::Json;
        self
    }

    pub(in super::super) fn seal(
        &self,
        result: Result<Json, Failure>,
        trace: &mut Trace,
    ) -> Response {
        let (status, content, name) = match result {
            Ok(content) => (200, content, format!("{}Response", self.action)),
            Err(failure) => {
                trace.code = Some(failure.code.clone());
                let content = failure.envelope(self.product, &self.host_id, &trace.request_id);
                (failure.status, content, "Error".to_owned())
            }
        };
        let response = match self.format {
            Format::Json => {
                Response::new(status, "application/json;charset=utf-8", content.to_string())
            }
            Format::Xml => {
                let body =
                    format!("<?xml version='1.0' encoding='UTF-8'?>{}", element(&name, &content));
                Response::new(status, "text/xml;charset=utf-8", body)
            }
        };
        response.with("x-acs-request-id", trace.request_id.clone())
    }
}

fn element(name: &str, content: &Json) -> String {
    match content {
        Json::Array(items) => {
            let item = name.strip_suffix('s').unwrap_or("Item");
            wrap(name, &items.iter().map(|content| element(item, content)).collect::<String>())
        }
        Json::Object(fields) => wrap(name, &fields_of(fields)),
        Json::String(text) => wrap(name, &escape(text)),
        other => wrap(name, &other.to_string()),
    }
}

fn fields_of(fields: &Map<String, Json>) -> String {
    fields.iter().map(|(name, content)| element(name, content)).collect()
}

fn wrap(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
