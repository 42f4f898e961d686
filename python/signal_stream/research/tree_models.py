"""Trees of XGBoost, LightGBM and scikit-learn as ONNX, read from what the fitted model holds.

Each library compares in its own way, and the ONNX keeps it: XGBoost rounds the row to float32 and asks `<`; LightGBM and
scikit-learn's histograms compare doubles by `<=`; scikit-learn's other trees round the row and compare by `<=` (skl2onnx writes
those, but not for rows of doubles). Sums are finished and links applied in doubles. What cannot be said so (categories, linear
leaves, objectives of the user's own) is refused.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

_LINKS: Final = {
    "XGBoost": {
        **dict.fromkeys(("binary:logistic", "reg:logistic"), "sigmoid"),
        **dict.fromkeys(("multi:softprob", "multi:softmax"), "softmax"),
        **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"), "exp"),
        **dict.fromkeys(
            ("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror",
             "reg:expectileerror", "rank:pairwise", "rank:ndcg", "rank:map", "binary:logitraw"),
            "",
        ),
    },
    "LightGBM": {
        **dict.fromkeys(("binary", "cross_entropy", "multiclassova"), "sigmoid"),
        "multiclass": "softmax",
        **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp"),
        **dict.fromkeys(
            ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom"), ""
        ),
    },
    "histograms": {"IdentityLink": "", "LogLink": "exp", "LogitLink": "sigmoid", "MultinomialLogit": "softmax"},
}  # fmt: skip


@dataclass(slots=True)
class Trees:
    """Trees as ONNX's TreeEnsembleRegressor takes them, and what is done with their sums.

    `branch` is the comparison by which a row goes to the left; `double` whether rows and thresholds are doubles, `rounded`
    whether the model rounds the row to float32 all the same: then thresholds are moved, so that doubles fall as it does.
    The sum of
    each of the `outputs` is divided by `divisor`, `base` is added, the result multiplied by `slope` and put through `link`.
    """

    branch: str
    double: bool
    outputs: int
    link: str
    base: list[float]
    slope: float = 1.0
    divisor: int = 1
    rounded: bool = False
    tree_ids: list[int] = field(default_factory=list)
    node_ids: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lefts: list[int] = field(default_factory=list)
    rights: list[int] = field(default_factory=list)
    missing_left: list[int] = field(default_factory=list)
    leaf_outputs: list[int] = field(default_factory=list)
    leaf_values: list[float] = field(default_factory=list)
    leaf_trees: list[int] = field(default_factory=list)
    leaf_nodes: list[int] = field(default_factory=list)

    def split(
        self, tree: int, node: int, feature: int, value: float, left: int, right: int, missing_left: bool
    ) -> None:
        """Adds a node that asks."""
        self._node(tree, node, feature, unrounded(value) if self.rounded else value, left, right, missing_left)

    def leaf(self, tree: int, node: int, output: int, *values: float) -> None:
        """Adds a node that ends, with what it adds to the outputs from `output` on."""
        self._node(tree, node, -1, 0.0, 0, 0, False)
        for i, value in enumerate(values):
            self.leaf_trees.append(tree)
            self.leaf_nodes.append(node)
            self.leaf_outputs.append(output + i)
            self.leaf_values.append(value)

    def _node(
        self, tree: int, node: int, feature: int, value: float, left: int, right: int, missing_left: bool
    ) -> None:
        self.tree_ids.append(tree)
        self.node_ids.append(node)
        self.features.append(feature)
        self.values.append(value)
        self.lefts.append(left)
        self.rights.append(right)
        self.missing_left.append(int(missing_left))

    def attributes(self) -> dict[str, Any]:
        """The attributes of the ONNX operator."""
        import numpy as np
        from onnx import numpy_helper

        dtype = np.float64 if self.double else np.float32
        values, weights = np.array(self.values, dtype), np.array(self.leaf_values, dtype)
        return {
            "n_targets": self.outputs,
            "aggregate_function": "SUM",
            "post_transform": "NONE",
            "nodes_treeids": self.tree_ids,
            "nodes_nodeids": self.node_ids,
            "nodes_featureids": [max(feature, 0) for feature in self.features],
            "nodes_modes": [self.branch if feature >= 0 else "LEAF" for feature in self.features],
            "nodes_truenodeids": self.lefts,
            "nodes_falsenodeids": self.rights,
            "nodes_missing_value_tracks_true": self.missing_left,
            "target_treeids": self.leaf_trees,
            "target_nodeids": self.leaf_nodes,
            "target_ids": self.leaf_outputs,
            **(
                {
                    "nodes_values_as_tensor": numpy_helper.from_array(values, "nodes_values"),
                    "target_weights_as_tensor": numpy_helper.from_array(weights, "target_weights"),
                }
                if self.double
                else {"nodes_values": values.tolist(), "target_weights": weights.tolist()}
            ),
        }

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """The sums of the leaves for each row, (n, outputs): slow, for a handful of rows."""
        import numpy as np

        at = {(tree, node): i for i, (tree, node) in enumerate(zip(self.tree_ids, self.node_ids, strict=True))}
        leaf = {
            (tree, node): (output, value)  # one output a leaf, in all models that ask
            for tree, node, output, value in zip(
                self.leaf_trees, self.leaf_nodes, self.leaf_outputs, self.leaf_values, strict=True
            )
        }
        roots: dict[int, int] = {}
        for tree, node in zip(self.tree_ids, self.node_ids, strict=True):
            roots.setdefault(tree, node)
        typed = rows.astype(np.float64 if self.double else np.float32)
        found = np.zeros((len(rows), self.outputs))
        for i, row in enumerate(typed):
            for tree, root in roots.items():
                node = root
                while (tree, node) not in leaf:
                    k = at[tree, node]
                    value, threshold = row[self.features[k]], typed.dtype.type(self.values[k])
                    left = value < threshold if self.branch == "BRANCH_LT" else value <= threshold
                    node = self.lefts[k] if left else self.rights[k]
                output, weight = leaf[tree, node]
                found[i, output] += weight
        return found


@functools.cache
def _booster_type() -> type:
    from sklearn.base import BaseEstimator, RegressorMixin

    class Booster(RegressorMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
        """A Booster in the shape of a scikit-learn regressor, so that one way leads to ONNX."""

        def __init__(self, booster: Any) -> None:
            self.booster = booster
            xgboost = _library(booster) == "xgboost"
            self.n_features_in_ = int(booster.num_features() if xgboost else booster.num_feature())

        def fit(self, *_: object) -> Booster:
            return self

        def predict(self, rows: np.ndarray) -> np.ndarray:
            import numpy as np

            if _library(self.booster) == "xgboost":
                import xgboost

                named = xgboost.DMatrix(rows, feature_names=self.booster.feature_names)
                return np.asarray(self.booster.predict(named))
            return np.asarray(self.booster.predict(rows))

    return Booster


def as_regressor(booster: Any) -> Any:
    """A Booster of XGBoost or LightGBM in the shape of a scikit-learn regressor; it predicts what the Booster predicts."""
    return _booster_type()(booster)


def _wrapped(model: Any) -> Any:
    """The Booster in a wrapper; any other model as it is."""
    return vars(model)["booster"] if isinstance(model, _booster_type()) else model


def _library(model: Any) -> str:
    return str(type(model).__module__).partition(".")[0]


def is_booster(model: Any) -> bool:
    """Whether it is a Booster as `xgboost.train` and `lightgbm.train` give them."""
    return type(model).__name__ == "Booster" and _library(model) in ("xgboost", "lightgbm")


def fitted_names(model: Any) -> list[str] | None:
    """The names of the columns that a model was fitted on, in their order, where it carries any."""
    model = _wrapped(model)
    if is_booster(model):
        names = model.feature_names if _library(model) == "xgboost" else model.feature_name()
    else:
        try:
            names = model.feature_names_in_
        except Exception:  # noqa: BLE001  libraries raise what they like where there are none
            return None
    if names is None:
        return None
    names = [str(name) for name in names]
    made_up = [f"Column_{i}" for i in range(len(names))]
    return None if names == made_up or not names else names


def trees_of(model: Any) -> Trees | None:
    """The trees of a boosted model; None for any other. Raises ModelError where ONNX cannot say what it does."""
    model = _wrapped(model)
    name, library = type(model).__name__, _library(model)
    if library == "xgboost":
        return _of_xgboost(model)
    if library == "lightgbm":
        return _of_lightgbm(model)
    if library == "sklearn" and name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        return _of_histograms(model)
    if library == "sklearn" and name in ("GradientBoostingClassifier", "GradientBoostingRegressor"):
        return _of_gradients(model)
    if library == "sklearn" and name.removesuffix("Classifier").removesuffix("Regressor") in _FORESTS:
        return _of_forest(model)
    return None


def _refused(model: Any, what: str) -> ModelError:
    return ModelError("CONVERT", f"{type(model).__name__} {what}", next_step=SEAL)


SEAL: Final = (
    "Write the ONNX file with another converter, and let signal_stream.seal_onnx(path, columns=…, rows=…, predict=…) "
    "check it."
)


def _link(model: Any, library: str, objective: str) -> str:
    links = _LINKS[library]
    if objective not in links:
        raise _refused(model, f'has the objective "{objective}", whose link is not known')
    return links[objective]


def _of_xgboost(model: Any) -> Trees:
    import numpy as np

    booster = model
    if not is_booster(model):
        booster = model.get_booster()
        best = getattr(model, "best_iteration", None)
        if best is not None:
            booster = booster[: best + 1]
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient = learner["gradient_booster"]
    weights: list[float] | None = None
    if gradient["name"] == "dart":
        weights, gradient = gradient["weight_drop"], gradient["gbtree"]
    elif gradient["name"] != "gbtree":
        raise _refused(model, f'has the booster "{gradient["name"]}", which is no trees')
    objective = learner["objective"]["name"]
    if objective == "multi:softmax" and is_booster(model):
        raise _refused(model, 'predicts the number of a class: fit it with "multi:softprob"')
    outputs = max(
        int(learner["learner_model_param"]["num_class"]), int(learner["learner_model_param"]["num_target"]), 1
    )
    trees = Trees("BRANCH_LT", False, outputs, _link(model, "XGBoost", objective), [0.0] * outputs)
    groups = gradient["model"]["tree_info"]
    for number, tree in enumerate(gradient["model"]["trees"]):
        if int(tree["tree_param"]["size_leaf_vector"]) > 1:
            raise _refused(model, "has leaves of several outputs")
        if any(tree["split_type"]):
            raise _refused(model, "splits by categories")
        scale = 1.0 if weights is None else weights[number]
        for node, left in enumerate(tree["left_children"]):
            value = tree["split_conditions"][node]
            if left < 0:
                trees.leaf(number, node, groups[number], scale * value)
            else:
                right, to_left = tree["right_children"][node], bool(tree["default_left"][node])
                trees.split(number, node, tree["split_indices"][node], value, left, right, to_left)
    # Where the base score is kept, and in which space, changes with XGBoost's releases: what the model says is asked.
    import xgboost

    row = np.zeros((1, booster.num_features()), np.float32)
    margin = booster.predict(xgboost.DMatrix(row, feature_names=booster.feature_names), output_margin=True)
    trees.base = (np.asarray(margin, np.float64).reshape(1, -1) - trees.sums(row))[0].tolist()
    return trees


def _of_lightgbm(model: Any) -> Trees:
    booster = model if is_booster(model) else model.booster_
    dumped = booster.dump_model()
    name, *options = str(dumped.get("objective") or "custom").split()
    said = dict(option.split(":") for option in options if ":" in option)
    outputs = int(dumped["num_tree_per_iteration"])
    trees = Trees("BRANCH_LEQ", True, outputs, _link(model, "LightGBM", name), [0.0] * outputs)
    trees.slope = float(said.get("sigmoid", 1))
    if "sqrt" in options:
        raise _refused(model, "was fitted with reg_sqrt")
    if dumped["average_output"]:
        trees.divisor = max(len(dumped["tree_info"]) // outputs, 1)
    for number, tree in enumerate(dumped["tree_info"]):
        waiting, used = [(0, tree["tree_structure"])], 1
        while waiting:
            node, found = waiting.pop()
            if "leaf_value" in found:
                if "leaf_coeff" in found:
                    raise _refused(model, "has linear leaves")
                trees.leaf(number, node, number % outputs, float(found["leaf_value"]))
                continue
            if found["decision_type"] != "<=" or found["missing_type"] == "Zero":
                raise _refused(model, "splits by categories, or takes zero for missing")
            left, right, used = used, used + 1, used + 2
            feature, threshold = int(found["split_feature"]), float(found["threshold"])
            trees.split(number, node, feature, threshold, left, right, bool(found["default_left"]))
            waiting += [(left, found["left_child"]), (right, found["right_child"])]
    return trees


def _of_histograms(model: Any) -> Trees:
    if getattr(model, "is_categorical_", None) is not None:
        raise _refused(model, "splits by categories")
    link = _link(model, "histograms", type(model._loss.link).__name__)
    base = [float(x) for x in model._baseline_prediction.reshape(-1)]
    trees = Trees("BRANCH_LEQ", True, len(base), link, base)
    number = 0
    for iteration in model._predictors:
        for output, tree in enumerate(iteration):
            for node, found in enumerate(tree.nodes):
                if found["is_leaf"]:
                    trees.leaf(number, node, output, float(found["value"]))
                else:
                    threshold, to_left = float(found["num_threshold"]), bool(found["missing_go_to_left"])
                    left, right = int(found["left"]), int(found["right"])
                    trees.split(number, node, int(found["feature_idx"]), threshold, left, right, to_left)
            number += 1
    return trees


def _of_gradients(model: Any) -> Trees | None:
    """The trees of scikit-learn's GradientBoosting, which rounds rows to float32 and compares doubles; None for one that
    begins with a model of the user's own."""
    import numpy as np

    if model.init is not None and model.init != "zero":
        return None
    link = {"LogitLink": "sigmoid", "HalfLogitLink": "sigmoid", "MultinomialLogit": "softmax"}
    name = type(model._loss.link).__name__
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]
    trees = Trees(
        "BRANCH_LEQ", True, model.estimators_.shape[1], link.get(name, ""), [float(x) for x in base], rounded=True
    )
    trees.slope = 2.0 if name == "HalfLogitLink" else 1.0
    for number, fitted in enumerate(model.estimators_.ravel()):
        tree, output = fitted.tree_, number % trees.outputs
        for node, left in enumerate(tree.children_left):
            if left < 0:
                trees.leaf(number, node, output, float(model.learning_rate * tree.value[node].item()))
            else:
                feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
                to_left = bool(tree.missing_go_to_left[node])
                trees.split(number, node, feature, threshold, int(left), int(tree.children_right[node]), to_left)
    return trees


_FORESTS: Final = ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")


def _of_forest(model: Any) -> Trees | None:
    """The trees of a forest of scikit-learn, or its single one, which compare as those of GradientBoosting; None for several
    targets."""
    if model.n_outputs_ != 1:
        return None
    fitted = getattr(model, "estimators_", [model])
    outputs = int(model.n_classes_) if hasattr(model, "classes_") else 1
    trees = Trees("BRANCH_LEQ", True, outputs, "", [0.0] * outputs, divisor=len(fitted), rounded=True)
    for number, each in enumerate(fitted):
        tree = each.tree_
        for node, left in enumerate(tree.children_left):
            if left < 0:
                values = tree.value[node][0]
                trees.leaf(number, node, 0, *(values / values.sum() if outputs > 1 else values).tolist())
            else:
                feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
                to_left = bool(tree.missing_go_to_left[node])
                trees.split(number, node, feature, threshold, int(left), int(tree.children_right[node]), to_left)
    return trees


def conversions_to_doubles() -> dict[type, Callable[[Any, Any, Any], None]]:
    """How to convert what skl2onnx has no way to write for rows of doubles."""
    from sklearn import ensemble, tree

    found: dict[type, Callable[[Any, Any, Any], None]] = {}
    for kind in ("GradientBoosting", *_FORESTS):
        place = tree if kind in ("DecisionTree", "ExtraTree") else ensemble
        found[getattr(place, f"{kind}Classifier")] = _convert_classifier
        found[getattr(place, f"{kind}Regressor")] = _convert_regressor
    return found


def know_boosted(models: Sequence[Any]) -> bool:
    """Tells skl2onnx how to convert the boosted models among these, wherever they stand in a pipeline. Whether one of them
    compares doubles."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    doubles = False
    for model in models:
        trees = trees_of(model)
        if trees is None or trees.rounded:
            continue
        doubles |= trees.double
        kind = type(model)
        classifier = hasattr(model, "predict_proba")
        update_registered_converter(
            kind,
            f"SignalStream{kind.__name__}",
            calculate_linear_classifier_output_shapes if classifier else _regressor_shapes,
            _convert_classifier if classifier else _convert_regressor,
            options={"zipmap": [True, False, "columns"], "nocl": [True, False]} if classifier else None,
        )
    return doubles


def _known_trees(model: Any) -> Trees:
    trees = trees_of(model)
    if trees is None:
        raise _refused(model, "cannot be written for rows of doubles")
    return trees


def _regressor_shapes(operator: Any) -> None:
    from skl2onnx.common.utils import check_input_and_output_numbers

    check_input_and_output_numbers(operator, input_count_range=1, output_count_range=1)
    trees = _known_trees(operator.raw_operator)
    operator.outputs[0].type.shape = [operator.inputs[0].get_first_dimension(), trees.outputs]


def unrounded(threshold: float) -> float:
    """The largest double that, rounded to float32, is at most the threshold: asking `x <= unrounded(t)` of a double is asking
    `float32(x) <= t`.

    >>> import numpy as np
    >>> limit = unrounded(0.1)
    >>> float(np.float32(limit)) <= 0.1, float(np.float32(np.nextafter(limit, 1))) <= 0.1
    (True, False)
    """
    import numpy as np

    below = np.float32(threshold)
    if float(below) > threshold:
        below = np.nextafter(below, np.float32(-np.inf))
    above = np.nextafter(below, np.float32(np.inf))
    middle = (float(below) + float(above)) / 2
    return middle if np.float32(middle) <= below else float(np.nextafter(middle, -np.inf))


class _Nodes:
    """Adds nodes to skl2onnx's container, one after another."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def add(
        self, kind: str, inputs: list[str], output: str = "", *, version: int = 13, domain: str = "", **more: Any
    ) -> str:
        """Adds a node; gives the name of its output."""
        out = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, inputs, [out], op_domain=domain, op_version=version, name=name, **more)
        return out

    def constant(self, values: np.ndarray) -> str:
        """Adds a constant; gives its name."""
        from onnx import helper

        name: str = self._scope.get_unique_variable_name("constant")
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        self._container.add_initializer(name, kind, list(values.shape), values.ravel().tolist())
        return name


def _scores(nodes: _Nodes, operator: Any, trees: Trees) -> str:
    """The name of the linked scores, doubles of shape (n, outputs)."""
    import numpy as np
    from onnx import TensorProto

    row = nodes.add(
        "Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE if trees.double else TensorProto.FLOAT
    )
    found = nodes.add(
        "TreeEnsembleRegressor", [row], domain="ai.onnx.ml", version=3 if trees.double else 1, **trees.attributes()
    )
    found = nodes.add("Cast", [found], to=TensorProto.DOUBLE)
    if trees.divisor != 1:
        found = nodes.add("Div", [found, nodes.constant(np.array([float(trees.divisor)]))])
    found = nodes.add("Add", [found, nodes.constant(np.array([trees.base]))])
    if trees.slope != 1.0 and trees.link == "sigmoid":
        found = nodes.add("Mul", [found, nodes.constant(np.array([trees.slope]))])
    links: dict[str, Callable[[], str]] = {
        "": lambda: found,
        "sigmoid": lambda: nodes.add("Sigmoid", [found]),
        "softmax": lambda: nodes.add("Softmax", [found], axis=1),
        "exp": lambda: nodes.add("Exp", [found]),
    }
    return links[trees.link]()


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, container)
    trees = trees_of(operator.raw_operator)
    assert trees is not None
    nodes.add(
        "Cast", [_scores(nodes, operator, trees)], operator.outputs[0].full_name, to=_type_of(operator.outputs[0])
    )


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    import numpy as np

    nodes = _Nodes(scope, container)
    model = operator.raw_operator
    trees = _known_trees(model)
    scores = _scores(nodes, operator, trees)
    if trees.outputs == 1:
        other = nodes.add("Sub", [nodes.constant(np.array([1.0])), scores])
        scores = nodes.add("Concat", [other, scores], axis=1)
    label, chances = operator.outputs
    nodes.add("Cast", [scores], chances.full_name, to=_type_of(chances))
    best = nodes.add("ArgMax", [scores], axis=1, keepdims=0)
    classes = np.asarray(model.classes_)
    known = classes.astype(np.int64) if classes.dtype.kind in "biu" else None
    if known is None:
        from onnx import TensorProto

        name = scope.get_unique_variable_name("classes")
        container.add_initializer(name, TensorProto.STRING, [len(classes)], [str(each).encode() for each in classes])
    else:
        name = nodes.constant(known)
    nodes.add("Gather", [name, best], label.full_name, axis=0)


def _type_of(variable: Any) -> int:
    from skl2onnx.common.data_types import guess_proto_type

    kind: int = guess_proto_type(variable.type)
    return kind
