"""The names of SDK v1 that are Azure's alone, by what to do instead and by module. Nothing but a table."""

TRAINING = (
    "edgepack runs no training, jobs or pipelines; train where you like, and keep what came out with "
    "Model.register(ws, model_path=..., model_name=...)"
)
COMPUTE = (
    "the only computer is this one; Model.deploy without a deployment_target serves on it, and Model.package or "
    "`edgepack build` make images for others"
)
DATA = "there are no data sets and datastores; read files by their paths, which Model.register takes as samples, too"
IMAGES = "Model.package(ws, models, inference_config) makes an image, Model.deploy serves without one"
PROFILES = "call the service with your data and measure: Model.deploy serves on this machine, /metrics has its times"
SECRETS = "secrets are environment variables of whoever runs the script: os.environ; a service's keys: get_keys()"
NETWORK = "nothing of Azure is contacted, so there is nothing to connect or protect; leave it out"
SPARK = "what is served runs in one Python; name its packages in CondaDependencies"
EXPLAINING = "edgepack explains no models; use a library for it in the notebook, or in the entry script"
DRIFT = "`edgepack drift` compares two data sets, also what a device collected"
TELEMETRY = "nothing is collected; leave it out"

# what to do instead -> module below `azureml` -> names; a class says that it is of the deepest of its modules
TABLE = {
    TRAINING: {
        "core.experiment": "Experiment ViewType",
        "core.run": "get_run InputDatasets OutputDatasets LinkOutput",
        "core.script_run": "ScriptRun",
        "core.script_run_config": "ScriptRunConfig get_run_config_from_script_run submit",
        "core.runconfig": (
            "RunConfiguration ApplicationEndpointConfiguration AmlComputeConfiguration "
            "DataReferenceConfiguration DatacacheConfiguration DockerConfiguration EnvironmentDefinition "
            "HdiConfiguration HistoryConfiguration KubernetesComputeConfiguration MpiConfiguration OutputData "
            "OutputOptions ParallelTaskConfiguration PyTorchConfiguration RegistrationOptions SparkConfiguration "
            "TensorflowConfiguration"
        ),
        "core": "Experiment RunConfiguration ScriptRun ScriptRunConfig get_run",
        "widgets": "RunDetails ParallelRunStepDetails",
        "tensorboard": "Tensorboard",
        "tensorboard.export": "export_to_tensorboard",
        "train.estimator": "Estimator Gloo MMLBaseEstimator MMLBaseEstimatorRunConfig Mpi Nccl ParameterServer",
        "train.dnn": "Chainer PyTorch TensorFlow Gloo Mpi Nccl ParameterServer",
        "train.sklearn": "SKLearn",
        "train.hyperdrive.runconfig": "HyperDriveConfig HyperDriveRunConfig PrimaryMetricGoal",
        "train.hyperdrive.run": "HyperDriveRun PrimaryMetricGoal",
        "train.hyperdrive.policy": (
            "BanditPolicy EarlyTerminationPolicy MedianStoppingPolicy NoTerminationPolicy TruncationSelectionPolicy"
        ),
        "train.hyperdrive.sampling": (
            "BayesianParameterSampling GridParameterSampling HyperParameterSampling RandomParameterSampling"
        ),
        "train.hyperdrive.parameter_expressions": (
            "choice randint uniform quniform loguniform qloguniform normal qnormal lognormal qlognormal"
        ),
        "train.hyperdrive": (
            "HyperDriveConfig HyperDriveRun HyperDriveRunConfig PrimaryMetricGoal BanditPolicy EarlyTerminationPolicy "
            "MedianStoppingPolicy NoTerminationPolicy TruncationSelectionPolicy BayesianParameterSampling "
            "GridParameterSampling HyperParameterSampling RandomParameterSampling choice randint uniform quniform "
            "loguniform qloguniform normal qnormal lognormal qlognormal"
        ),
        "train.automl.automlconfig": "AutoMLConfig",
        "train.automl.automlimageconfig": "AutoMLImageConfig",
        "train.automl.run": "AutoMLRun",
        "train.automl.model_proxy": "ModelProxy",
        "train.automl.constants": "Environments Framework Metric Scenarios SupportedModels Tasks TimeSeries",
        "train.automl.utilities": "get_primary_metrics",
        "train.automl": "AutoMLConfig AutoMLImageConfig",
        "automl.core.featurization.featurizationconfig": "FeaturizationConfig",
        "automl.core.featurization": "FeaturizationConfig",
        "automl.core.forecasting_parameters": "ForecastingParameters",
        "automl.core.shared.constants": "Metric MODEL_PATH Tasks TimeSeries TimeSeriesInternal",
        "automl.core.shared.types": "GrainType",
        "automl.core.shared": "logging_utilities",
        "automl.core.onnx_convert": "OnnxConvertConstants",
        "automl.runtime.onnx_convert": "OnnxConverter OnnxInferenceHelper",
        "automl.runtime.shared.score": "constants scoring",
        "contrib.automl.pipeline.steps": "AutoMLPipelineBuilder",
        "contrib.notebook": "AzureMLNotebookHandler NotebookRunConfig NotebookRunnerStep",
        "pipeline.core.builder": "PipelineStep PipelineData StepSequence",
        "pipeline.core.graph": (
            "DataType Graph InputPortBinding InputPortDef Module Node OutputPortBinding OutputPortDef ParamDef "
            "PipelineDataset PipelineParameter PortDataReference PublishedPipeline TrainingOutput"
        ),
        "pipeline.core.module": "Module ModuleVersion ModuleVersionDescriptor",
        "pipeline.core.pipeline": "Pipeline",
        "pipeline.core.pipeline_draft": "PipelineDraft",
        "pipeline.core.pipeline_endpoint": "PipelineEndpoint",
        "pipeline.core.pipeline_output_dataset": "PipelineOutputFileDataset PipelineOutputTabularDataset",
        "pipeline.core.run": "PipelineRun StepRun StepRunOutput",
        "pipeline.core.schedule": "Schedule ScheduleRecurrence TimeZone",
        "pipeline.core": (
            "InputPortBinding Module ModuleVersion ModuleVersionDescriptor OutputPortBinding Pipeline PipelineData "
            "PipelineDataset PipelineDraft PipelineEndpoint PipelineParameter PipelineRun PipelineStep "
            "PortDataReference PublishedPipeline Schedule ScheduleRecurrence StepRun StepRunOutput StepSequence "
            "TimeZone TrainingOutput"
        ),
        "pipeline.steps.adla_step": "AdlaStep",
        "pipeline.steps.automl_step": "AutoMLStep AutoMLStepRun",
        "pipeline.steps.azurebatch_step": "AzureBatchStep",
        "pipeline.steps.command_step": "CommandStep",
        "pipeline.steps.data_transfer_step": "DataTransferStep",
        "pipeline.steps.databricks_step": "DatabricksStep",
        "pipeline.steps.estimator_step": "EstimatorStep",
        "pipeline.steps.hyper_drive_step": "HyperDriveStep HyperDriveStepRun",
        "pipeline.steps.kusto_step": "KustoStep",
        "pipeline.steps.module_step": "ModuleStep",
        "pipeline.steps.mpi_step": "MpiStep",
        "pipeline.steps.parallel_run_config": "ParallelRunConfig",
        "pipeline.steps.parallel_run_step": "ParallelRunStep",
        "pipeline.steps.python_script_step": "PythonScriptStep",
        "pipeline.steps.r_script_step": "RScriptStep",
        "pipeline.steps.synapse_spark_step": "SynapseSparkStep",
        "pipeline.steps": (
            "AdlaStep AutoMLStep AutoMLStepRun AzureBatchStep CommandStep DataTransferStep DatabricksStep "
            "EstimatorStep HyperDriveStep HyperDriveStepRun KustoStep ModuleStep MpiStep ParallelRunConfig "
            "ParallelRunStep PythonScriptStep RScriptStep SynapseSparkStep"
        ),
    },
    COMPUTE: {
        "core.compute.compute": (
            "ComputeTarget ComputeTargetAttachConfiguration ComputeTargetProvisioningConfiguration "
            "ComputeTargetUpdateConfiguration"
        ),
        "core.compute.adla": "AdlaCompute DataLakeAnalyticsAttachConfiguration",
        "core.compute.aks": (
            "AksCompute AksAttachConfiguration AksProvisioningConfiguration AksUpdateConfiguration SslConfiguration "
            "SystemService"
        ),
        "core.compute.amlcompute": (
            "AmlCompute AmlComputeNodeStateCounts AmlComputeProvisioningConfiguration AmlComputeStatus ScaleSettings"
        ),
        "core.compute.batch": "BatchCompute BatchAttachConfiguration",
        "core.compute.computeinstance": (
            "ComputeInstance ComputeInstanceProvisioningConfiguration ComputeInstanceStatus"
        ),
        "core.compute.databricks": "DatabricksCompute DatabricksAttachConfiguration",
        "core.compute.datafactory": (
            "DataFactoryCompute DataFactoryAttachConfiguration DataFactoryProvisioningConfiguration"
        ),
        "core.compute.dsvm": "DsvmCompute DsvmProvisioningConfiguration",
        "core.compute.hdinsight": "HDInsightCompute HDInsightAttachConfiguration",
        "core.compute.kubernetescompute": (
            "KubernetesCompute KubernetesComputeAttachConfiguration KubernetesComputeStatus"
        ),
        "core.compute.kusto": "KustoCompute KustoAttachConfiguration",
        "core.compute.remote": "RemoteCompute RemoteComputeAttachConfiguration",
        "core.compute.synapse": "SynapseCompute SynapseAttachConfiguration",
        "core.compute": (
            "AdlaCompute AksCompute AmlCompute BatchCompute ComputeInstance ComputeTarget DataFactoryCompute "
            "DatabricksCompute DsvmCompute HDInsightCompute KubernetesCompute KustoCompute RemoteCompute SynapseCompute"
        ),
        "core.compute_target": (
            "AbstractComputeTarget LocalTarget attach_legacy_compute_target is_compute_target_prepared "
            "prepare_compute_target remove_legacy_compute_target"
        ),
        "core": (
            "ComputeTarget attach_legacy_compute_target is_compute_target_prepared prepare_compute_target "
            "remove_legacy_compute_target"
        ),
    },
    DATA: {
        "core.dataset": "Dataset",
        "core.datastore": "Datastore",
        "core.runconfig": "Data DataLocation DataPath Dataset",
        "core": "Dataset Datastore",
        "data.azure_data_lake_datastore": "AzureDataLakeDatastore AzureDataLakeGen2Datastore",
        "data.azure_my_sql_datastore": "AzureMySqlDatastore",
        "data.azure_postgre_sql_datastore": "AzurePostgreSqlDatastore",
        "data.azure_sql_database_datastore": "AzureSqlDatabaseDatastore",
        "data.azure_storage_datastore": "AzureBlobDatastore AzureFileDatastore",
        "data.data_reference": "DataReference",
        "data.datapath": "DataPath DataPathComputeBinding",
        "data.dataset_consumption_config": "DatasetConsumptionConfig",
        "data.dataset_factory": "DataType FileDatasetFactory TabularDatasetFactory",
        "data.dbfs_datastore": "DBFSDatastore",
        "data.file_dataset": "FileDataset",
        "data.output_dataset_config": (
            "HDFSOutputDatasetConfig LinkFileOutputDatasetConfig LinkTabularOutputDatasetConfig OutputDatasetConfig "
            "OutputFileDatasetConfig OutputTabularDatasetConfig"
        ),
        "data.sql_data_reference": "SqlDataReference",
        "data.stored_procedure_parameter": "StoredProcedureParameter StoredProcedureParameterType",
        "data.tabular_dataset": "TabularDataset",
        "data": (
            "DataType DatacacheStore FileDataset HDFSOutputDatasetConfig LinkFileOutputDatasetConfig "
            "LinkTabularOutputDatasetConfig OutputFileDatasetConfig TabularDataset"
        ),
        "opendatasets": (
            "BingCOVID19Data BostonSafety COVID19OpenResearch COVIDTrackingProject ChicagoSafety Diabetes "
            "EcdcCOVIDCases MNIST NoaaGfsWeather NoaaIsdWeather NycSafety NycTlcFhv NycTlcGreen NycTlcYellow "
            "OjSalesSimulated PublicHolidays PublicHolidaysOffline SanFranciscoSafety SeattleSafety UsLaborCPI "
            "UsLaborEHENational UsLaborEHEState UsLaborLAUS UsLaborLFS UsLaborPPICommodity UsLaborPPIIndustry "
            "UsPopulationCounty UsPopulationZip"
        ),
    },
    IMAGES: {
        "core.image.container": "ContainerImage ContainerImageConfig",
        "core.image.image": "Asset Image ImageConfig TargetRuntime",
        "core.image.unknown_image": "UnknownImage",
        "core.image": "ContainerImage Image UnknownImage",
        "core": "Image",
        "core.environment": "DockerImageDetails ImageBuildDetails",
    },
    PROFILES: {"core.profile": "ModelProfile"},
    SECRETS: {"core.keyvault": "Keyvault", "core": "Keyvault"},
    NETWORK: {
        "core.linked_service": ("LinkedService LinkedServiceConfiguration SynapseWorkspaceLinkedServiceConfiguration"),
        "core.private_endpoint": "PrivateEndPoint PrivateEndPointConfig",
        "core.container_registry": "RegistryIdentity",
        "core": "LinkedService PrivateEndPoint PrivateEndPointConfig SynapseWorkspaceLinkedServiceConfiguration",
    },
    SPARK: {
        "core.environment": "RCranPackage RGitHubPackage RSection SparkPackage",
        "core.databricks": (
            "DatabricksCluster DatabricksSection EggLibrary JarLibrary MavenLibrary PyPiLibrary RCranLibrary"
        ),
        "core.runconfig": "EggLibrary JarLibrary MavenLibrary PyPiLibrary RCranLibrary",
    },
    EXPLAINING: {
        "interpret.mimic_wrapper": "MimicWrapper",
        "interpret.scoring.scoring_explainer": (
            "DeepScoringExplainer KernelScoringExplainer LinearScoringExplainer ScoringExplainer TreeScoringExplainer "
            "load save"
        ),
        "train.automl.runtime.automl_explain_utilities": (
            "automl_check_model_if_explainable automl_setup_model_explanations"
        ),
        "interpret": "ExplanationClient MimicWrapper",
        "explain.model.mimic_wrapper": "MimicWrapper",
        "explain.model.scoring.scoring_explainer": (
            "DeepScoringExplainer KernelScoringExplainer LinearScoringExplainer ScoringExplainer TreeScoringExplainer "
            "load save"
        ),
    },
    DRIFT: {
        "datadrift.alert_configuration": "AlertConfiguration",
        "datadrift.datadriftdetector": "DataDriftDetector",
        "datadrift": "AlertConfiguration DataDriftDetector Metric MetricType ModelServingDataset",
    },
    TELEMETRY: {
        "core": "diagnostic_log",
        "telemetry": "get_diagnostics_collection_info get_telemetry_log_handler set_diagnostics_collection",
    },
}
