"""Two packages as the rest of such an application has them: people and a service desk, with all kinds of metadata."""

from __future__ import annotations


def field(type, **attributes):
    return {"type": type, "label": type.title(), **attributes}


def one_of(*values, **attributes):
    options = [{"label": f"● {value}", "value": value} for value in values]
    return field("select", options=options, **attributes)


def days(**attributes):
    return {
        f"{day}_{end}": field("time", **attributes) for day in ("monday", "tuesday", "sunday") for end in ("from", "to")
    }


PEOPLE = {
    "manifest": {"id": "desk.people", "version": "1.2.0", "name": "@desk/people", "dependencies": {}},
    "metadata": {
        "objects": [
            {
                "name": "department",
                "fields": {
                    "name": field("text", required=True, maxLength=80),
                    "parent": field("tree"),
                    "head_id": field("lookup", reference="employee"),
                    "headcount": field("summary", summaryOperations={"object": "employee", "function": "count"}),
                },
            },
            {
                "name": "employee",
                "fields": {
                    "number": field("text", required=True, unique=True, maxLength=40),
                    "full_name": field("formula", expression={"dialect": "cel", "source": "first + last"}),
                    "email": field("email", required=True, unique=True),
                    "born": field("date", encryption=True),
                    "hired": field("date", required=True, defaultValue="$today"),
                    "department_id": field("lookup", reference="Department", required=True),
                    "manager_id": field("lookup", reference="employee"),
                    "account": field("user"),
                    "base_salary": field("currency", precision=2, min=0),
                    "home": field("address"),
                    "photo": field("image"),
                    "skills": one_of("sql", "python", multiple=True),
                    "check_in_place": None,
                },
                "validationRules": [{"name": "Adult", "formula": "born > TODAY() - 6574"}],
                "listViews": [{"name": "All", "columns": ["number", "full_name"]}],
            },
            {
                "name": "time_off",
                "fields": {
                    "employee_id": field("master_detail", reference="employee", required=True),
                    "half": field("checkbox", defaultValue=False),
                    "start": field("date", required=True),
                    "order": field("autonumber", format="TO-{0000}"),
                },
                "indexes": [{"fields": ["employee_id", "start"], "unique": True}],
            },
        ],
        "apps": [{"name": "people", "navigation": [{"type": "object", "object": "employee"}]}],
        "translations": [{"en": {"objects": {}}, "zh-CN": {"objects": {"employee": {"label": "员工"}}}}],
    },
}
DESK = {
    "manifest": {
        "id": "desk.support",
        "version": "0.3.1-beta.2",
        "name": "@desk/support",
        "dependencies": {"desk.people": "^1.0.0"},
        "engine": {"objectkernel": ">=0.0.1", "objectstack": ">=4"},
        "capabilities": {"canAccessExternalAPIs": True},
    },
    "metadata": {
        "objects": [
            {
                "name": "case",
                "fields": {
                    "case_number": field("autonumber", format="CASE-{YYYY}-{0000}", readonly=True),
                    "subject": field("text", required=True, maxLength=255),
                    "description": field("textarea", required=True, maxLength=32000),
                    "status": one_of("new", "in_progress", required=True, defaultValue="In Progress"),
                    "group": field("lookup", reference="group"),
                    "owner_id": field("lookup", reference="users", required=True),
                    "about": field("lookup", reference=["employee", "asset"]),
                    "agent_id": field("lookup", reference="employee", deleteBehavior="restrict"),
                    "watchers": field("lookup", reference="employee", multiple=True),
                    "parent_case_id": field("lookup", reference="case"),
                    "asset_id": field("lookup", reference="asset"),
                    "comments": field("rollup", summaryType="count"),
                    "score": field("rating", max=5),
                    "tags": one_of("bug", "vip", multiple=True),
                    "attachments": field("file", multiple=True),
                },
            },
            {
                "name": "case_comment",
                "fields": {
                    "case": field("master_detail", reference="case", required=True),
                    "body": field("richtext", required=True),
                    "by": field("user", required=True),
                    "at": field("datetime", defaultValue="NOW()"),
                },
            },
            {
                "name": "group",
                "fields": {
                    "name": field("text", maxLength=80),
                    "lead_case": field("lookup", reference="case"),
                    "table": field("json"),
                    "zone": one_of("UTC", "Asia/Shanghai", defaultValue="Asia/Shanghai"),
                    **days(defaultValue="09:00"),
                },
            },
        ],
        "views": [{"list": {"type": "grid", "name": "all_cases", "columns": [{"field": "subject"}]}}],
        "flows": [{"name": "escalate", "version": 1, "nodes": [{"id": "start"}], "edges": []}],
        "agents": [{"name": "copilot", "tools": [{"type": "action", "name": "analyse"}], "model": {"topP": 1.0}}],
        "tools": [{"name": "search", "parameters": {"query": {"type": "string"}}}],
        "dashboards": [{"name": "support", "widgets": []}],
        "reports": [{"name": "volume"}],
        "triggers": [{"name": "routing", "object": "case"}],
    },
}
