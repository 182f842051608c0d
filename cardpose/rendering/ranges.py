"""Ranges of the domain randomization: everything that varies between rendered packets.

A range is (low, high). The renderer draws from it uniformly unless a comment says otherwise. A
probability is a single number, 0 to 1. Colours are in HSV: hue is 0 to 360 degrees everywhere,
saturation and brightness are 0 to 1. A grey level is 0 to 255.

The videos of a seed depend on the order of the draws. Changing the order changes the data set.
"""

Range = tuple[float | int, float | int]

# --- Table, in cloth pixels; one is 0.5 mm for the usual deck ---
CLOTH_BRIGHTNESS: Range = 0.15, 0.9
CLOTH_SATURATION: Range = 0.0, 0.95
CLOTH_SECOND_COLOUR: Range = 0.5, 1.5  # times the first, for each channel
CLOTH_KINDS = {"felt": 0.5, "weave": 0.2, "stripes": 0.1, "checks": 0.1, "wood": 0.1}  # probability
FELT_PATCH: Range = 30, 150  # width of a lighter or darker patch, pixels
WEAVE_PITCH: Range = 4, 9  # distance between two threads, pixels
STRIPE_PITCH: Range = 8, 60  # pixels per radian of a sine
CHECK_PITCH: Range = 15, 70  # pixels per radian of a sine
WOOD_PITCH: Range = 6, 20  # distance between two rings, pixels per radian of a sine
FUZZ: Range = 4, 12  # width of the coarser bumps, pixels
FOLD: Range = 150, 400  # width of a fold, pixels
FOLD_DEPTH: Range = 0, 10  # standard deviation, grey levels
GRAIN: Range = 2, 9  # contrast of the bumps, grey levels

# --- Light on the table ---
LIGHT_SLOPE: Range = 0, 0.35  # rise of the brightness from the middle to the lit edge
LIGHT_VIGNETTE: Range = 0, 0.3  # fall of the brightness from the middle to the edges
SHADOW_LENGTH: Range = 0.4, 2.0  # times the packet's thickness
SHADOW_BLUR: Range = 0.15, 0.6  # standard deviation, times the shadow's length
CONTACT_BLUR: Range = 0.6, 2.5  # standard deviation of the dark line at the packet's foot, mm
CONTACT_SHADE: Range = 0.3, 1  # strength of the dark line, times the shadow's
SHADOW_SHADE: Range = 0.25, 0.7  # share of the light lost in the shadow

# --- Back of the cards, in mm for every deck ---
INK_BRIGHTNESS: Range = 0.25, 0.85
INK_SATURATION: Range = 0.35, 1.0
BLACK_INK_PROBABILITY = 0.15
BLACK_INK: Range = 15, 80  # grey level
LIGHT_INK: Range = 0.5, 0.95  # colour, from the ink's at 0 to the paper's at 1
BORDER: Range = 2.5, 7  # width of the white border, mm
FRAME: Range = 0, 6  # distance of the inner frame's line from the border, mm
FRAME_LINE: Range = 0.4, 1.0  # width, mm
FRAME_GROUND = 0.0, 1.0  # share of light ink between border and frame, one of the two
FRAME_INK = 0.0, 0.2  # share of dark ink in the line, one of the two
PATTERN_PITCH: Range = 2.0, 7.0  # mm
PATTERN_CONTRAST: Range = 2, 8  # steepness of the step from dark to light ink
PLAIN_INK: Range = 0, 0.3  # share of light ink in a back without a pattern

# --- Shape of the packet, in mm for every deck ---
SLIP: Range = 0.03, 0.15  # standard deviation of each card's slip, mm
CUT_PROBABILITY: Range = 0, 0.08  # probability per card that a block starts to slip there
CUT_SLIP: Range = 0.1, 0.6  # standard deviation of a block's slip, mm
LARGEST_LEAN = 6  # mm along each edge; `geometry.priors.LEAN_PRIOR` draws the lean
LEAN_STEPS = 0.6, 0.25, 0.15  # probability of an even lean, of one in one step, of one in two
STEP_HEIGHT: Range = 0.02, 0.3  # height of a step, as a share of the thickness
FAN_PROBABILITY = 0.3  # probability that the cards are fanned round one of their corners
FAN = 0.5  # standard deviation of the turn of the lowest card, degrees
FLAT_DECK_PROBABILITY = 0.25
# Measured real cards have a twist of 1 mm and a bow of the long edges of a third of that.
# Mean and standard deviation of normal distributions: twist, bow of the long edges, bow of the
# short edges; mm for the usual deck.
BEND_MEAN, BEND_DEVIATION = (0, 0.2, 0), (0.8, 0.3, 0.15)

# --- Colour of the paper and of the packet's sides ---
PAPER_BRIGHTNESS: Range = 205, 245  # grey level
PAPER_YELLOW: Range = 0, 40  # loss of blue, grey levels
PAPER_GREEN_LOSS = 8  # grey levels
SIDE_BRIGHTNESS: Range = 0.75, 1.08  # times the paper's
SIDE_STREAKS: Range = 0.005, 0.06  # standard deviation of each card's brightness
GAP_PROBABILITY: Range = 0, 0.12  # probability per card of a dark gap
GAP_BRIGHTNESS: Range = 0.75, 0.95  # times the card's
TABLE_TINT: Range = 0, 0.8  # share of the table's colour in the lowest card
TABLE_TINT_HEIGHT: Range = -2, 1.5  # natural logarithm of the height in mm where it falls to 1/e
TABLE_TINT_BRIGHTNESS: Range = 0.3, 1  # times the table's
AMBIENT: Range = 0.3, 0.95  # brightness of a side that faces away from the light
OVERHANG_SHADE: Range = 0.5, 1.0  # loss of light of a side that faces down
GLARE: Range = 0.1, 0.8  # strength of the lamp's reflection; half of the packets have none
LAMP_DISTANCE: Range = 100, 500  # along the table, mm
LAMP_HEIGHT: Range = 250, 700  # mm

# --- Camera path; distances are for the usual deck and the usual focal length ---
ANGULAR_SPEED: Range = 30, 75  # around the packet, degrees per 100 frames
AZIMUTH_SWAY: Range = -0.4, 0.4  # radians
LOWEST_ELEVATION, HIGHEST_ELEVATION = 20.0, 55.0  # degrees; higher if the horizon would be in view
ELEVATION_SPAN = 20  # smallest difference between the two, degrees
DISTANCE: Range = 140, 215  # mm
DISTANCE_SWAY: Range = -0.2, 0.2  # natural logarithm of a factor; gives 115 to 265 mm
PORTRAIT_DISTANCE = 0.75  # exponent of the factor for pictures that are higher than wide
FOCAL_LENGTH: Range = 660, 700  # pixels, in a picture with a longer side of 640 pixels
STRAY: Range = 0.3, 1.0  # share of the distance at which the picture's edge cuts the packet off
ROLL: Range = -7, 7  # degrees

# --- Camera ---
APERTURE: Range = 0, 14  # blur of a point infinitely far away, pixels
SHUTTER: Range = 0.1, 0.5  # share of the time between two frames that the shutter is open
NOISE: Range = 0.5, 6  # standard deviation, grey levels
NOISE_BLUR: Range = 0.3, 0.9  # standard deviation, pixels
EXPOSURE: Range = 0.75, 1.2  # gain of all channels, varies between frames
WHITE_BALANCE: Range = 0.88, 1.12  # gain of each channel
WHITE_BALANCE_DRIFT: Range = 0.97, 1.03  # gain of each channel, varies between frames
GAMMA: Range = 0.8, 1.25

# --- Pictures for pretraining: a wider choice of tables, backs and lamps ---
PORTRAIT_PROBABILITY = 0.2
LITTERED_TABLE_PROBABILITY = 0.65
LITTER_SPREAD: Range = 0.2, 0.9  # share of the table's or the back's width
TABLE_LITTER: Range = 3, 1200  # number of shapes; its logarithm is uniform
BACK_LITTER: Range = 3, 60  # number of shapes; its logarithm is uniform
LITTER_SIZE: Range = 0.3, 1.0  # times the size at which the shapes cover the area of the spread
LITTER_SIZE_DEVIATION = 0.4  # standard deviation of the logarithm of a shape's size
LITTER_COLOURS = 1, 6  # number of colours, the upper end excluded
LITTER_BRIGHTNESS: Range = 0.1, 1.0
LITTER_SATURATION: Range = 0.0, 0.9
LITTER_SHADE: Range = 0.85, 1.1  # brightness of each shape, times its colour's
LITTER_OPACITY: Range = 0.3, 1
STROKE_WIDTH: Range = 0.02, 0.2  # times the stroke's length
CHIP_CORNERS = 3, 8  # number of corners, the upper end excluded
CHIP_SQUASH: Range = 0.6, 1  # factor of each axis
DISC_SQUASH: Range = 0.5, 1  # factor of the second axis
BAR_WIDTH: Range = 0.03, 0.2  # times the bar's length
SHEET_WIDTH: Range = 0.5, 1  # times the sheet's length
BORDERLESS_PROBABILITY = 0.45
WIDE_BORDER: Range = 0.5, 7  # mm, if there is a border
BACK_PICTURE_PROBABILITY = 0.5
BACK_PICTURE_MARGIN: Range = 1, 8  # mm for the usual deck; half of the pictures have none
SYMMETRIC_PICTURE_PROBABILITY = 0.7  # probability that the picture is the same upside down
WARM_LIGHT_PROBABILITY = 0.75  # otherwise the light is cold
WARMTH = 0.45, 0.2, 0.0  # largest loss of blue, green and red
LAMP_BRIGHTNESS: Range = 0.7, 1.05  # gain of all channels
UNSHARPENED_PROBABILITY = 0.6
SHARPENING: Range = 0.2, 1.2  # strength
SHARPENING_BLUR: Range = 0.6, 1.5  # standard deviation, pixels
JPEG_QUALITY: Range = 60, 98
