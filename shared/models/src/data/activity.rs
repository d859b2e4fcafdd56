//! One training session or another bout of activity.

use crate::{
    data::enums::{ActivityType, TimestampLocalization, UploadType},
    data::shared::{
        ActiveDurationsData, CaloriesData, DeviceData, DistanceDataDetailed, ElevationData,
        HeartRateData, MetData, OxygenData, StrainData, SwimmingData,
    },
    lenient::{Any, Code, List, Number, Object, Text, terra_object},
};

terra_object! {
    /// One bout of activity. Key: `metadata.summary_id`, unique within a connection only.
    ///
    /// Schema: `Activity.yaml`.
    pub struct Activity<'a> {
        /// Times, kind and id of the activity.
        metadata: Object<ActivityMetadata<'a>>,
        /// Time at each intensity.
        active_durations_data: Object<ActiveDurationsData<'a>>,
        /// Energy, in kilocalories.
        calories_data: Object<CaloriesData<'a>>,
        /// Vendor's flag for a faked activity; 0 means none.
        cheat_detection: Number,
        /// Scores computed by Terra.
        ///
        /// Raw, because every key counts, known or not. Absence or null never erases an earlier
        /// score.
        data_enrichment: Any<'a>,
        /// The device that recorded.
        device_data: Object<DeviceData<'a>>,
        /// Distance, steps, climbing, swimming.
        distance_data: Object<DistanceData<'a>>,
        /// Energy, in kilojoules.
        energy_data: Object<EnergyData>,
        /// Heart rate and its variability.
        heart_rate_data: Object<HeartRateData<'a>>,
        /// Laps.
        lap_data: Object<LapData<'a>>,
        /// Metabolic equivalents.
        met_data as "MET_data": Object<MetData<'a>>,
        /// Speed, pace, cadence, torque.
        movement_data: Object<MovementData<'a>>,
        /// Oxygen saturation and uptake.
        oxygen_data: Object<OxygenData<'a>>,
        /// The route as a drawing.
        polyline_map_data: Object<PolylineMapData<'a>>,
        /// The route as positions.
        position_data: Object<PositionData<'a>>,
        /// Power.
        power_data: Object<PowerData<'a>>,
        /// Vendor's strain.
        strain_data: Object<StrainData>,
        /// Training stress scores.
        tss_data as "TSS_data": Object<TssData<'a>>,
        /// Mechanical work.
        work_data: Object<WorkData>,
    }

    /// Times and kind of an activity.
    ///
    /// Schema: `ActivityMetadata.yaml`.
    pub struct ActivityMetadata<'a> {
        /// City.
        city: Text<'a>,
        /// Country.
        country: Text<'a>,
        /// End, ISO 8601 as Terra sent it.
        end_time: Text<'a>,
        /// Name given by the wearer or the vendor.
        name: Text<'a>,
        /// Start, ISO 8601 as Terra sent it; without an offset it is the wearer's wall time.
        start_time: Text<'a>,
        /// State or region.
        state: Text<'a>,
        /// The record's id, unique within a connection only.
        summary_id: Text<'a>,
        /// Localization of the times. Absent before December 2024.
        timestamp_localization: Code<TimestampLocalization>,
        /// Kind of activity. 0, in a vehicle, is a value like any other.
        kind as "type": Code<ActivityType>,
        /// Origin of the record; 4 retracts it.
        upload_type: Code<UploadType>,
    }

    /// Distance, steps, climbing and swimming of an activity.
    ///
    /// Schema: `DistanceData.yaml`.
    pub struct DistanceData<'a> {
        /// Sample streams.
        detailed: Object<DistanceDataDetailed<'a>>,
        /// Totals.
        summary: Object<DistanceDataSummary>,
    }

    /// Totals of an activity.
    ///
    /// Schema: `DistanceDataSummary.yaml`.
    pub struct DistanceDataSummary {
        /// Distance covered. Unit: m.
        distance_meters: Number,
        /// Climbing.
        elevation: Object<ElevationData>,
        /// Floors climbed. Unit: count.
        floors_climbed: Number,
        /// Steps. Unit: count.
        steps: Number,
        /// Swimming.
        swimming: Object<SwimmingData>,
    }

    /// Energy spent in an activity.
    ///
    /// Schema: `EnergyData.yaml`.
    pub struct EnergyData {
        /// Energy spent. Unit: kJ.
        energy_kilojoules: Number,
        /// Energy planned to be spent. Unit: kJ.
        energy_planned_kilojoules: Number,
    }

    /// Laps of an activity.
    ///
    /// Schema: `LapData.yaml`.
    pub struct LapData<'a> {
        /// One entry per lap.
        laps: List<'a, LapSample<'a>>,
    }

    /// One lap.
    ///
    /// Schema: `LapSample.yaml`.
    pub struct LapSample<'a> {
        /// Energy. Unit: kcal.
        calories: Number,
        /// Average heart rate. Unit: bpm.
        avg_hr_bpm: Number,
        /// Start, ISO 8601 as Terra sent it.
        start_time: Text<'a>,
        /// Average speed. Unit: m/s.
        avg_speed_meters_per_second: Number,
        /// Distance. Unit: m.
        distance_meters: Number,
        /// Swimming strokes. Unit: count.
        total_strokes: Number,
        /// End, ISO 8601 as Terra sent it.
        end_time: Text<'a>,
        /// Stroke, as `freestyle`; open list.
        stroke_type: Text<'a>,
        /// Average power. Unit: W.
        avg_watts: Number,
        /// Time in motion. Unit: s.
        active_duration_seconds: Number,
        /// Cause of the lap's end, as `DISTANCE`; open list.
        trigger_method: Text<'a>,
    }

    /// Speed, pace, cadence and torque of an activity.
    ///
    /// Schema: `MovementData.yaml`.
    pub struct MovementData<'a> {
        /// Maximum speed adjusted for slope. Unit: m/s.
        adjusted_max_speed_meters_per_second: Number,
        /// Average cadence. Unit: rpm.
        avg_cadence_rpm: Number,
        /// Average pace. Unit: min/km.
        avg_pace_minutes_per_kilometer: Number,
        /// Average speed. Unit: m/s.
        avg_speed_meters_per_second: Number,
        /// Average torque. Unit: N·m.
        avg_torque_newton_meters: Number,
        /// Average velocity. Unit: m/s.
        avg_velocity_meters_per_second: Number,
        /// Cadence over time.
        cadence_samples: List<'a, CadenceSample<'a>>,
        /// Highest cadence. Unit: rpm.
        max_cadence_rpm: Number,
        /// Fastest pace. Unit: min/km.
        max_pace_minutes_per_kilometer: Number,
        /// Highest speed. Unit: m/s.
        max_speed_meters_per_second: Number,
        /// Highest torque. Unit: N·m.
        max_torque_newton_meters: Number,
        /// Highest velocity. Unit: m/s.
        max_velocity_meters_per_second: Number,
        /// Speed normalised for slope. Unit: m/s.
        normalized_speed_meters_per_second: Number,
        /// Speed over time.
        speed_samples: List<'a, SpeedSample<'a>>,
        /// Torque over time.
        torque_samples: List<'a, TorqueSample<'a>>,
    }

    /// One reading of cadence.
    ///
    /// Schema: `CadenceSample.yaml`.
    pub struct CadenceSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Cadence. Unit: rpm.
        cadence_rpm: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// One reading of speed.
    ///
    /// Schema: `SpeedSample.yaml`.
    pub struct SpeedSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Speed. Unit: m/s.
        speed_meters_per_second: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// One reading of torque.
    ///
    /// Schema: `TorqueSample.yaml`.
    pub struct TorqueSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
        /// Torque. Unit: N·m.
        torque_newton_meters: Number,
    }

    /// The route as a drawing.
    ///
    /// Schema: `PolylineMapData.yaml`.
    pub struct PolylineMapData<'a> {
        /// Encoded polyline.
        summary_polyline: Text<'a>,
    }

    /// The route as positions, each `[latitude, longitude]` in degrees.
    ///
    /// Schema: `PositionData.yaml`.
    pub struct PositionData<'a> {
        /// Centre of the route. Unit: degrees.
        center_pos_lat_lng_deg: List<'a, Number>,
        /// End of the route. Unit: degrees.
        end_pos_lat_lng_deg: List<'a, Number>,
        /// Position over time.
        position_samples: List<'a, PositionSample<'a>>,
        /// Start of the route. Unit: degrees.
        start_pos_lat_lng_deg: List<'a, Number>,
    }

    /// One position.
    ///
    /// Schema: `PositionSample.yaml`.
    pub struct PositionSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// `[latitude, longitude]`; either may be null. Unit: degrees.
        coords_lat_lng_deg: List<'a, Number>,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// Power of an activity.
    ///
    /// Schema: `PowerData.yaml`.
    pub struct PowerData<'a> {
        /// Average power. Unit: W.
        avg_watts: Number,
        /// Highest power. Unit: W.
        max_watts: Number,
        /// Power over time.
        power_samples: List<'a, PowerSample<'a>>,
    }

    /// One reading of power.
    ///
    /// Schema: `PowerSample.yaml`.
    pub struct PowerSample<'a> {
        /// Time, ISO 8601 as Terra sent it.
        timestamp: Text<'a>,
        /// Power. Unit: W.
        watts: Number,
        /// Time since the start by the device's own timer. Unit: s.
        timer_duration_seconds: Number,
    }

    /// Training stress scores of an activity.
    ///
    /// Schema: `TSSData.yaml`.
    pub struct TssData<'a> {
        /// One entry per method.
        tss_samples as "TSS_samples": List<'a, TssSample<'a>>,
    }

    /// One training stress score.
    ///
    /// Schema: `TSSSample.yaml`.
    pub struct TssSample<'a> {
        /// Score planned. No unit.
        planned: Number,
        /// Score reached. No unit.
        actual: Number,
        /// Method of computation.
        method: Text<'a>,
        /// Intensity factor planned. No unit.
        intensity_factor_planned: Number,
        /// Intensity factor reached. No unit.
        intensity_factor_actual: Number,
        /// Normalised power. Unit: W.
        normalized_power_watts: Number,
    }

    /// Mechanical work of an activity.
    ///
    /// Schema: `WorkData.yaml`.
    pub struct WorkData {
        /// Work done. Unit: kJ.
        work_kilojoules: Number,
    }
}
