"""Mutants of the room `inference`."""

from mutants import Mutant

MUTANTS = [
    Mutant(
        "keypoints of a reduced picture are in its own pixels",
        "cardpose/inference/predictor.py",
        "_result(row, width, height).scaled(photos[i].size)",
        "_result(row, width, height)",
        "tests/cli/test_predict.py -k whole",
    ),
    Mutant(
        "the focal length is a share of the width",
        "cardpose/inference/end_to_end.py",
        "self.focal * fitted.max()",
        "self.focal * fitted[0]",
        "tests/inference/test_end_to_end.py::test_a_packet_has_the_same_count_in_landscape_and_in_portrait",
    ),
    Mutant(
        "pictures are predicted with the usual focal length",
        "cardpose/inference/end_to_end.py",
        "self.network.predict(small, details, focal.expand(pictures.shape[0]))",
        "self.network.predict(small, details)",
        "tests/inference/test_end_to_end.py::test_a_packet_has_the_same_count_in_landscape_and_in_portrait",
    ),
    Mutant(
        "margins of the fitted picture stay in the keypoints",
        "cardpose/inference/end_to_end.py",
        "(found.points - offset)",
        "found.points",
        "tests/inference/test_end_to_end.py::test_keypoints_are_in_pixels_of_the_picture",
    ),
    Mutant(
        "the confidence is the mean of all peaks",
        "cardpose/inference/end_to_end.py",
        "_TELLING = 4",
        "_TELLING = 8",
        "tests/inference/test_end_to_end.py::test_the_confidence_is_the_mean_of_the_four_highest_peaks",
    ),
    Mutant(
        "all pictures of a batch should have one size",
        "cardpose/inference/picture_like.py",
        'Picture = UInt8[np.ndarray, "_ _ 3"]',
        'Picture = UInt8[np.ndarray, "height width 3"]',
        "tests/inference/test_predictor.py -k many_sizes",
    ),
    Mutant(
        "colours change places",
        "cardpose/inference/picture_like.py",
        "[..., ::-1] if rgb else",
        "[..., ::-1] if not rgb else",
        "tests/inference/test_predictor.py::test_pictures_are_bgr_unless_rgb_is_true",
    ),
    Mutant(
        "results come by the sizes of pictures",
        "cardpose/inference/predictor.py",
        "[results[i] for i in range(len(photos))]",
        "list(results.values())",
        "tests/inference/test_predictor.py::test_a_batch_of_many_sizes_keeps_its_order",
    ),
    Mutant(
        "frames without a packet count",
        "cardpose/inference/predictor.py",
        "[result for result in results if result.packet]",
        "list(results)",
        "tests/inference/test_predictor.py::test_frames_without_a_packet_do_not_count",
    ),
    Mutant(
        "a box is fitted for every way of counting",
        "cardpose/inference/predictor.py",
        'self.metadata["count"] == "both"',
        "True",
        "tests/inference/test_predictor.py::test_a_recording_without_a_box_has_the_median_count_of_its_frames",
    ),
    Mutant(
        "Pillow's pictures are not turned upright",
        "cardpose/inference/picture_like.py",
        "ImageOps.exif_transpose(picture).convert",
        "picture.convert",
        "tests/inference/test_predictor.py -k all_kinds",
    ),
    Mutant(
        "hidden corners have places",
        "cardpose/inference/result.py",
        "        seen = self.visible & self.packet",
        "        seen = self.visible | self.packet",
        "tests/inference/test_predictor.py -k named_corners",
    ),
    Mutant(
        "the package's network is preferred to that of the current folder",
        "cardpose/inference/networks.py",
        "in (ONNX_NETWORK, PACKAGED_NETWORK,",
        "in (PACKAGED_NETWORK, ONNX_NETWORK,",
        "tests/inference/test_networks.py",
    ),
    Mutant(
        "halved weights are summed up in 16 bits",
        "cardpose/inference/export.py",
        "nodes = [*casts, *graph.node]",
        "nodes = [*graph.node, *casts]",
        "tests/inference/test_export.py -k half",
    ),
]
