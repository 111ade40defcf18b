package suture.autonomy_test

import data.suture.autonomy

_settings := {
	"environments": {
		"dev": {"unattended": true, "confidence": 0.6, "auto_actions": ["retry_stage"]},
		"prod": {"unattended": false, "confidence": 0.9, "auto_actions": []},
	},
	"production": "prod",
	"may_lack_dry_run": {"retry_stage": ["dev", "prod"]},
	"autonomy": {
		"risks": ["low"],
		"undoable": ["reversible"],
		"min_kinds": 2,
		"kinds": ["execution", "log", "change"],
		"max_steps": 2,
		"max_blast_radius": 3,
	},
}

_plan := {
	"environment": "dev",
	"is_production": false,
	"action": "retry_stage",
	"risk": "low",
	"reversibility": "reversible",
	"confidence": 0.7,
	"steps": 1,
	"blast_radius": 1,
	"fidelity": "server",
}

_ask(change) := object.union(
	{"plan": _plan, "kinds": ["execution", "log"], "automatic_released": true, "min_confidence": null},
	change,
)

_decision(change) := answer if {
	answer := autonomy.decision with input as _ask(change) with data.settings as _settings
}

_codes(change) := {reason.code | some reason in _decision(change).reasons} if _decision(change).tier == "human"

test_empty_input_is_blocked if {
	decision := autonomy.decision with input as {} with data.settings as _settings
	decision.tier == "block"
	[reason.code | some reason in decision.reasons] == ["AU001"]
}

test_empty_input_gives_every_reason_to_ask if {
	ask := autonomy.ask with input as {} with data.settings as _settings
	codes := {reason.code | some reason in ask}
	codes == {"AU010", "AU011", "AU012", "AU013", "AU014", "AU015", "AU016", "AU017", "AU018"}
}

test_missing_settings_block if {
	decision := autonomy.decision with input as _ask({}) with data.settings as {}
	decision.tier == "block"
}

test_missing_numbers_need_a_person if {
	decision := autonomy.decision with input as _ask({}) with data.settings as object.remove(_settings, ["autonomy"])
	decision.tier == "human"
}

test_each_missing_field_is_blocked if {
	every field in object.keys(_plan) {
		question := json.remove(_ask({}), [sprintf("plan/%s", [field])])
		decision := autonomy.decision with input as question with data.settings as _settings
		decision.tier == "block"
	}
}

test_malformed_fields_are_blocked if {
	every plan in [
		{"confidence": 1.7}, {"confidence": "0.99"}, {"risk": "none"}, {"steps": 0}, {"blast_radius": -1},
		{"environment": ""}, {"fidelity": "best"}, {"is_production": "false"}, {"reversibility": true},
	] {
		_decision({"plan": plan}).tier == "block"
	}
}

test_malformed_org_number_is_blocked if _decision({"min_confidence": "0"}).tier == "block"

test_harmless_action_runs_alone_in_dev if {
	decision := _decision({})
	decision.tier == "auto"
	decision.threshold == 0.6
	[reason.code | some reason in decision.reasons] == ["AU000"]
}

test_held_automatic_mode_asks if _codes({"automatic_released": false}) == {"AU010"}

test_unlisted_action_asks if _codes({"plan": {"action": "rollback_config"}}) == {"AU011"}

test_higher_risk_asks if _codes({"plan": {"risk": "medium"}}) == {"AU012"}

test_low_confidence_asks if _codes({"plan": {"confidence": 0.59}}) == {"AU013"}

test_confidence_at_the_threshold_suffices if _decision({"plan": {"confidence": 0.6}}).tier == "auto"

test_no_confidence_asks if _codes({"plan": {"confidence": null}}) == {"AU013"}

test_org_can_be_stricter if _codes({"min_confidence": 0.8}) == {"AU013"}

test_org_cannot_be_looser if _codes({"min_confidence": 0.1, "plan": {"confidence": 0.5}}) == {"AU013"}

test_production_asks if {
	_codes({"plan": {"environment": "prod", "is_production": true, "confidence": 1}}) == {"AU011", "AU014"}
}

test_unknown_environment_counts_as_production if {
	decision := _decision({"plan": {"environment": "prd-2"}})
	decision.threshold == 0.9
	{"AU011", "AU013", "AU014"} == {reason.code | some reason in decision.reasons}
}

test_name_of_dev_does_not_make_production_unattended if {
	_codes({"plan": {"is_production": true}}) == {"AU011", "AU013", "AU014"}
}

test_one_kind_of_evidence_asks if _codes({"kinds": ["log"]}) == {"AU015"}

test_one_kind_said_twice_is_one_kind if _codes({"kinds": ["log", "log"]}) == {"AU015"}

test_unknown_kind_of_evidence_does_not_count if _codes({"kinds": ["log", "rumour"]}) == {"AU015"}

test_what_cannot_be_undone_asks if _codes({"plan": {"reversibility": "freeze_only"}}) == {"AU016"}

test_long_plan_asks if _codes({"plan": {"steps": 3}}) == {"AU017"}

test_wide_plan_asks if _codes({"plan": {"blast_radius": 4}}) == {"AU017"}

test_listed_action_may_lack_a_dry_run if _decision({"plan": {"fidelity": "none"}}).tier == "auto"

test_other_action_may_not_lack_a_dry_run if {
	_codes({"plan": {"fidelity": "none", "action": "rollback_config"}}) == {"AU011", "AU018"}
}

test_production_may_never_lack_a_dry_run if {
	"AU018" in _codes({"plan": {"fidelity": "none", "environment": "prod", "is_production": true}})
}

test_production_is_never_unattended if {
	loose := {"environments": {"prod": {"unattended": true, "auto_actions": ["retry_stage"]}}}
	decision := autonomy.decision with input as _ask({"plan": {"is_production": true, "confidence": 1}})
		with data.settings as object.union(_settings, loose)
	{reason.code | some reason in decision.reasons} == {"AU014"}
}

test_threshold_that_is_no_number_blocks if {
	decision := autonomy.decision with input as _ask({})
		with data.settings as object.union(_settings, {"environments": {"dev": {"confidence": "0"}}})
	decision.tier == "block"
}

test_reason_to_run_alone_names_action_place_and_confidence if {
	_decision({}).reasons[0].msg == "retry_stage may run alone in dev at confidence 0.7 of 0.6"
}
