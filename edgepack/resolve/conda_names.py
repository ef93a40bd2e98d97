"""Which package of the Python index a conda package is. Names that are the same in both worlds are not listed."""

# conda name: name on the Python index
RENAMED = {
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-lightgbm": "lightgbm",
    "tensorflow-base": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "tensorflow-eigen": "tensorflow",
    "msgpack-python": "msgpack",
    "matplotlib-base": "matplotlib",
    "pytables": "tables",
    "seaborn-base": "seaborn",
    "dask-core": "dask",
    "python-graphviz": "graphviz",
    "brotli-python": "brotli",
    "onnxruntime-cpu": "onnxruntime",
    "pyarrow-core": "pyarrow",
}

# What a wheel brings along by itself, or what only a build or conda itself needs: left out, with a note.
SYSTEM = frozenset(
    {
        "_libgcc_mutex",
        "_openmp_mutex",
        "blas",
        "bzip2",
        "ca-certificates",
        "conda",
        "cpuonly",
        "cudatoolkit",
        "cudnn",
        "gcc_linux-64",
        "gxx_linux-64",
        "intel-openmp",
        "ld_impl_linux-64",
        "libblas",
        "libcblas",
        "libcxx",
        "libffi",
        "libgcc",
        "libgcc-ng",
        "libgfortran",
        "libgfortran-ng",
        "libgfortran5",
        "libgomp",
        "liblapack",
        "libopenblas",
        "libprotobuf",
        "libstdcxx",
        "libstdcxx-ng",
        "llvm-openmp",
        "mkl",
        "mkl-service",
        "mkl_fft",
        "mkl_random",
        "ncurses",
        "nodefaults",
        "nomkl",
        "numpy-base",
        "openblas",
        "openmp",
        "openssl",
        "pip",
        "readline",
        "sqlite",
        "tk",
        "vs2015_runtime",
        "xz",
        "zlib",
    }
)

# Replaced by the agent: its HTTP front, its MQTT client and its stand-ins for the modules that scripts import.
REPLACED = frozenset(
    {
        "azureml-contrib-services",
        "azureml-core",
        "azureml-defaults",
        "azureml-inference-server-http",
        "azureml-sdk",
    }
)

# Modules that came with azureml-defaults though the script's own environment never named them.
CAME_ALONG = {
    "cryptography": "cryptography",
    "dateutil": "python-dateutil",
    "flask": "flask",
    "inference_schema": "inference-schema",
    "numpy": "numpy",
    "pandas": "pandas",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "pytz": "pytz",
    "requests": "requests",
    "yaml": "pyyaml",
}

# Packages whose Linux wheels are linked against the graphics-processor wheels below and cannot be imported without.
LINKED_TO_GPU = frozenset({"torch"})

# The first version whose wheels work with numpy 2; older ones do not say that they cannot, and fail at import.
NUMPY_2_SINCE = {
    "gensim": "4.3.3",
    "h5py": "3.11",
    "matplotlib": "3.8.4",
    "onnxruntime": "1.19",
    "opencv-contrib-python-headless": "4.10",
    "opencv-python-headless": "4.10",
    "pandas": "2.2.2",
    "pyarrow": "16",
    "scikit-learn": "1.4.2",
    "statsmodels": "0.14.2",
}

# The same software without windows on a screen, which need libraries that neither wheels nor the base have.
HEADLESS = {
    "opencv-python": "opencv-python-headless",
    "opencv-contrib-python": "opencv-contrib-python-headless",
}

# Wheels for graphics processors that others load only if there is one: left out, unless asked for by name.
_CUDA_PARTS = (
    "cublas cuda-cccl cuda-cupti cuda-nvcc cuda-nvrtc cuda-runtime cudnn cufft cufile curand cusolver cusparse"
    " cusparselt nccl nvjitlink nvshmem nvtx"
).split()
GPU_ONLY = tuple(
    sorted(
        {f"nvidia-{part}{suffix}" for part in _CUDA_PARTS for suffix in ("", "-cu11", "-cu12", "-cu13")}
        | {"cuda-bindings", "cuda-pathfinder", "cuda-python", "cuda-toolkit", "triton"}
    )
)
