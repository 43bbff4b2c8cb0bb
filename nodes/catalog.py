"""Every node that ships, one line each. A test compares this list with what stands on disk."""

NODES: dict[str, str] = {
    "cfg": "guidance.cfg",
    "decode": "image.decode",
    "denoise": "sample.denoise",
    "draw_figure": "evaluate.draw_figure",
    "empty_latent": "noise.empty_latent",
    "encode_image": "image.encode_image",
    "encode_prompt": "prompt.encode_prompt",
    "encode_prompts": "prompt.encode_prompts",
    "enlarge": "image.enlarge",
    "gaussian_noise": "noise.gaussian_noise",
    "grade_shapes": "evaluate.grade_shapes",
    "image_grid": "image.image_grid",
    "load_image": "image.load_image",
    "load_mask": "image.load_mask",
    "load_model": "load.load_model",
    "prompt_list": "prompt.prompt_list",
    "rectangle_mask": "image.rectangle_mask",
    "resize": "image.resize",
    "sampler": "schedule.sampler",
    "save_image": "image.save_image",
    "save_table": "evaluate.save_table",
    "schedule": "schedule.schedule",
    "shapes_prompts": "evaluate.shapes_prompts",
    "trained_model": "load.trained_model",
}
"""Node name -> module below `latentloom.nodes` that defines a function of that name."""
