//! Terra's number-coded enumerations.

use crate::lenient::terra_enum;

terra_enum! {
    /// Verdict on atrial fibrillation.
    ///
    /// Schema: `AFibFlag.yaml`.
    pub enum AFibFlag {
        0 = Negative "Negative",
        1 = Positive "Positive",
        2 = Inconclusive "Inconclusive",
    }

    /// Intensity of activity.
    ///
    /// Schema: `ActivityLevel.yaml`.
    pub enum ActivityLevel {
        0 = Unknown "Unknown",
        1 = Rest "Rest",
        2 = Inactive "Inactive",
        3 = LowIntensity "Low Intensity",
        4 = MediumIntensity "Medium Intensity",
        5 = HighIntensity "High Intensity",
    }

    /// Kind of an activity. Numbers outside the list occur.
    ///
    /// Schema: `ActivityType.yaml`.
    pub enum ActivityType {
        0 = InVehicle "In Vehicle",
        1 = Biking "Biking",
        3 = Still "Still",
        4 = Unknown "Unknown",
        5 = Tilting "Tilting",
        7 = Walking "Walking",
        8 = Running "Running",
        9 = Aerobics "Aerobics",
        10 = Badminton "Badminton",
        11 = Baseball "Baseball",
        12 = Basketball "Basketball",
        13 = Biathlon "Biathlon",
        14 = HandBiking "Hand Biking",
        15 = MountainBiking "Mountain Biking",
        16 = RoadBiking "Road Biking",
        17 = Spinning "Spinning",
        18 = StationaryBiking "Stationary Biking",
        19 = UtilityBiking "Utility Biking",
        20 = Boxing "Boxing",
        21 = Calisthenics "Calisthenics",
        22 = CircuitTraining "Circuit Training",
        23 = Cricket "Cricket",
        24 = Dancing "Dancing",
        25 = Elliptical "Elliptical",
        26 = Fencing "Fencing",
        27 = AmericanFootball "American Football",
        28 = AustralianFootball "Australian Football",
        29 = EnglishFootball "English Football",
        30 = Frisbee "Frisbee",
        31 = Gardening "Gardening",
        32 = Golf "Golf",
        33 = Gymnastics "Gymnastics",
        34 = Handball "Handball",
        35 = Hiking "Hiking",
        36 = Hockey "Hockey",
        37 = HorsebackRiding "Horseback Riding",
        38 = Housework "Housework",
        39 = JumpingRope "Jumping Rope",
        40 = Kayaking "Kayaking",
        41 = KettlebellTraining "Kettlebell Training",
        42 = Kickboxing "Kickboxing",
        43 = Kitesurfing "Kitesurfing",
        44 = MartialArts "Martial Arts",
        45 = Meditation "Meditation",
        46 = MixedMartialArts "Mixed Martial Arts",
        47 = P90xExercises "P90X Exercises",
        48 = Paragliding "Paragliding",
        49 = Pilates "Pilates",
        50 = Polo "Polo",
        51 = Racquetball "Racquetball",
        52 = RockClimbing "Rock Climbing",
        53 = Rowing "Rowing",
        54 = RowingMachine "Rowing Machine",
        55 = Rugby "Rugby",
        56 = Jogging "Jogging",
        57 = RunningOnSand "Running on Sand",
        58 = TreadmillRunning "Treadmill Running",
        59 = Sailing "Sailing",
        60 = ScubaDiving "Scuba Diving",
        61 = Skateboarding "Skateboarding",
        62 = Skating "Skating",
        63 = CrossSkating "Cross Skating",
        64 = IndoorRollerblading "Indoor Rollerblading",
        65 = Skiing "Skiing",
        66 = BackCountrySkiing "Back Country Skiing",
        67 = CrossCountrySkiing "Cross Country Skiing",
        68 = DownhillSkiing "Downhill Skiing",
        69 = KiteSkiing "Kite Skiing",
        70 = RollerSkiing "Roller Skiing",
        71 = Sledding "Sledding",
        73 = Snowboarding "Snowboarding",
        74 = Snowmobile "Snowmobile",
        75 = Snowshoeing "Snowshoeing",
        76 = Squash "Squash",
        77 = StairClimbing "Stair Climbing",
        78 = StairClimbingMachine "Stair Climbing Machine",
        79 = StandUpPaddleboarding "Stand Up Paddleboarding",
        80 = StrengthTraining "Strength Training",
        81 = Surfing "Surfing",
        82 = Swimming "Swimming",
        83 = SwimmingInPool "Swimming in Pool",
        84 = OpenWaterSwimming "Open Water Swimming",
        85 = TableTennis "Table Tennis",
        86 = TeamSports "Team Sports",
        87 = Tennis "Tennis",
        88 = Treadmill "Treadmill",
        89 = Volleyball "Volleyball",
        90 = BeachVolleyball "Beach Volleyball",
        91 = IndoorVolleyball "Indoor Volleyball",
        92 = Wakeboarding "Wakeboarding",
        93 = WalkingForFitness "Walking for Fitness",
        94 = NordicWalking "Nordic Walking",
        95 = TreadmillWalking "Treadmill Walking",
        96 = WaterPolo "Water Polo",
        97 = Weightlifting "Weightlifting",
        98 = Wheelchair "Wheelchair",
        99 = Windsurfing "Windsurfing",
        100 = Yoga "Yoga",
        101 = Zumba "Zumba",
        102 = Diving "Diving",
        103 = Ergometer "Ergometer",
        104 = IceSkating "Ice Skating",
        105 = IndoorSkating "Indoor Skating",
        106 = Curling "Curling",
        108 = Other "Other",
        113 = CrossFit "CrossFit",
        114 = Hiit "HIIT",
        115 = IntervalTraining "Interval Training",
        116 = WalkingWithStroller "Walking with Stroller",
        117 = Elevator "Elevator",
        118 = Escalator "Escalator",
        119 = Archery "Archery",
        120 = Softball "Softball",
        122 = GuidedBreathing "Guided Breathing",
        123 = CardioTraining "Cardio Training",
        124 = Lacrosse "Lacrosse",
        125 = Stretching "Stretching",
        126 = Triathlon "Triathlon",
        127 = InlineSkating "Inline Skating",
        128 = SkyDiving "Sky Diving",
        129 = Paddling "Paddling",
        130 = Mountaineering "Mountaineering",
        131 = Fishing "Fishing",
        132 = WaterSkiing "Water Skiing",
        133 = IndoorRunning "Indoor Running",
        134 = PadelTennis "Padel Tennis",
        135 = Driving "Driving",
        136 = OffRoadDriving "Off-Road Driving",
        137 = Motorbiking "Motorbiking",
        138 = MotorRacing "Motor Racing",
        139 = Enduro "Enduro",
        140 = Canoeing "Canoeing",
        141 = Orienteering "Orienteering",
        142 = HangGliding "Hang Gliding",
        143 = Flying "Flying",
        144 = HotAirBallooning "Hot Air Ballooning",
        145 = JetSkiing "Jet Skiing",
        146 = PowerBoating "Power Boating",
        147 = GaelicFootball "Gaelic Football",
        148 = Hurling "Hurling",
        149 = TrailRunning "Trail Running",
        150 = GravelCycling "Gravel Cycling",
        151 = Multisport "Multisport",
        152 = EBiking "E-Biking",
        153 = EMountainBiking "E-Mountain Biking",
        154 = PhysicalTherapy "Physical Therapy",
    }

    /// Position of a glucose reading in its range.
    ///
    /// Schema: `GlucoseFlag.yaml`.
    pub enum GlucoseFlag {
        0 = Normal "Normal",
        1 = High "High",
        2 = Low "Low",
    }

    /// Kind of a health observation.
    ///
    /// Schema: `HealthObservationCategory.yaml`.
    pub enum HealthObservationCategory {
        0 = Unspecified "Unspecified",
        1 = Symptom "Symptom",
        2 = ReproductiveHealth "Reproductive Health",
        3 = SelfCare "Self Care",
        4 = Medication "Medication",
        5 = LabHealthMetrics "Lab & Health Metrics",
        6 = StateOfMind "State of Mind",
        7 = DeviceEvent "Device Event",
        8 = Clinical "Clinical",
    }

    /// Activity of the wearer when the heart rate was read.
    ///
    /// Schema: `HeartRateContext.yaml`.
    pub enum HeartRateContext {
        0 = NotSet "Not Set",
        1 = Active "Active",
        2 = NotActive "Not Active",
    }

    /// Place of a ketone measurement.
    ///
    /// Schema: `KetoneSampleType.yaml`.
    pub enum KetoneSampleType {
        0 = Unknown "Unknown",
        1 = Blood "Blood",
        2 = Urine "Urine",
        3 = Breath "Breath",
    }

    /// Meal of the day.
    ///
    /// Schema: `MealType.yaml`.
    pub enum MealType {
        0 = Unknown "Unknown",
        1 = Breakfast "Breakfast",
        2 = MorningSnack "Morning Snack",
        3 = Lunch "Lunch",
        4 = AfternoonSnack "Afternoon Snack",
        5 = Dinner "Dinner",
        6 = Snack "Snack",
    }

    /// Flow.
    ///
    /// Schema: `MenstruationFlow.yaml`.
    pub enum MenstruationFlow {
        0 = Unknown "Unknown",
        1 = None "None",
        2 = Light "Light",
        3 = Medium "Medium",
        4 = Heavy "Heavy",
        5 = Had "Had",
    }

    /// Phase of a menstrual cycle or of a pregnancy.
    ///
    /// Schema: `MenstruationInterval.yaml`.
    pub enum MenstruationInterval {
        0 = Unknown "Unknown",
        1 = Period "Period",
        2 = Follicular "Follicular",
        3 = FertileWindow "Fertile Window",
        4 = Ovulation "Ovulation",
        5 = Luteal "Luteal",
        6 = Pms "PMS",
        7 = FirstTrimester "First Trimester",
        8 = SecondTrimester "Second Trimester",
        9 = ThirdTrimester "Third Trimester",
    }

    /// Unit of an amount of food or drink.
    ///
    /// Schema: `NutritionUnits.yaml`.
    pub enum NutritionUnits {
        0 = Unknown "Unknown",
        1 = Gram "Gram",
        2 = Teaspoon "Teaspoon",
        3 = Tablespoon "Tablespoon",
        4 = Cup "Cup",
        5 = MediumEgg "Medium Egg",
        6 = LargeEgg "Large Egg",
        7 = SmallEgg "Small Egg",
        8 = Milliliter "Milliliter",
        9 = Ounce "Ounce",
        10 = Count "Count",
        11 = Scoop "Scoop",
        12 = FluidOunce "Fluid Ounce",
    }

    /// Severity of an observed symptom.
    ///
    /// Schema: `ObservationSeverity.yaml`.
    pub enum ObservationSeverity {
        0 = Unspecified "Unspecified",
        1 = NotPresent "Not Present",
        2 = Mild "Mild",
        3 = Moderate "Moderate",
        4 = Severe "Severe",
    }

    /// Status of an observation: valid, or retracted.
    ///
    /// Schema: `ObservationStatus.yaml`.
    pub enum ObservationStatus {
        0 = Unspecified "Unspecified",
        1 = Final "Final",
        2 = Amended "Amended",
        3 = EnteredInError "Entered In Error",
    }

    /// Name of the field that holds an observation's value.
    ///
    /// Schema: `ObservationValueType.yaml`.
    pub enum ObservationValueType {
        0 = None "None",
        1 = Quantity "Quantity",
        2 = Boolean "Boolean",
        3 = String "String",
        4 = Code "Code",
    }

    /// Medium in which oxygen saturation was measured.
    ///
    /// Schema: `OxygenSaturationType.yaml`.
    pub enum OxygenSaturationType {
        0 = Blood "Blood",
        1 = Muscle "Muscle",
    }

    /// Stage of sleep.
    ///
    /// Schema: `SleepLevel.yaml`.
    pub enum SleepLevel {
        0 = Unknown "Unknown",
        1 = Awake "Awake",
        2 = Sleeping "Sleeping",
        3 = OutOfBed "Out of bed",
        4 = LightSleep "Light sleep",
        5 = DeepSleep "Deep sleep",
        6 = RemSleep "REM sleep",
    }

    /// Origin of a sleep record. Counts differently from [`UploadType`].
    ///
    /// Schema: `SleepUploadType.yaml`.
    pub enum SleepUploadType {
        0 = Unknown "Unknown",
        1 = Manual "Manual",
        2 = Automatic "Automatic",
        3 = Tentative "Tentative",
        4 = Indeterminate "Indeterminate",
    }

    /// A day's stress in one word.
    ///
    /// Schema: `StressLevel.yaml`.
    pub enum StressLevel {
        0 = Unknown "Unknown",
        1 = Rest "Rest",
        2 = Low "Low",
        3 = Medium "Medium",
        4 = High "High",
    }

    /// Localization of the times of a record.
    ///
    /// Schema: `TimestampLocalization.yaml`.
    pub enum TimestampLocalization {
        0 = Utc "UTC",
        1 = Local "LOCAL",
    }

    /// Direction in which glucose is going.
    ///
    /// Schema: `TrendArrow.yaml`.
    pub enum TrendArrow {
        0 = Unknown "Unknown",
        1 = FallingQuickly "Falling Quickly",
        2 = Falling "Falling",
        3 = Flat "Flat",
        4 = Rising "Rising",
        5 = RisingQuickly "Rising Quickly",
    }

    /// Origin of an activity or daily record. `Delete` retracts it.
    ///
    /// Schema: `UploadType.yaml`.
    pub enum UploadType {
        0 = Unknown "Unknown",
        1 = Automatic "Automatic",
        2 = Manual "Manual",
        3 = Update "Update",
        4 = Delete "Delete",
        5 = Pending "Pending",
        6 = ThirdPartyUpload "Third party upload",
    }
}
