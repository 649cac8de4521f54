using System.Runtime.InteropServices;

namespace KvMesh.Worker.Devices.Cuda;

/// <summary>
/// The entry points of the NVIDIA driver that a device needs, found by name at run time: no library of NVIDIA's is linked. Signatures are those of
/// cuda.h, in the versions that 64-bit programs get (<c>_v2</c>). Device pointers are 64 bits; contexts, streams, events, modules and functions are pointers.
/// </summary>
/// <param name="find">Address of an entry point; 0: there is none.</param>
internal sealed unsafe class CudaDriver(Func<string, nint> find)
{
    public const int Success = 0;
    public const int OutOfMemory = 2;
    public const int NotReady = 600;

    /// <summary>CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED.</summary>
    public const int ReadOnlyHostRegisterSupported = 113;

    /// <summary>CU_MEMHOSTREGISTER_READ_ONLY.</summary>
    public const uint HostRegisterReadOnly = 0x08;

    /// <summary>CU_STREAM_NON_BLOCKING: no order with the default stream.</summary>
    public const uint StreamNonBlocking = 1;

    /// <summary>CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING: whoever waits sleeps.</summary>
    public const uint EventBlockingUntimed = 1 | 2;

    private const string Library = "libcuda.so.1";

    public readonly delegate* unmanaged<uint, int> Init = (delegate* unmanaged<uint, int>)Need(find, "cuInit");
    public readonly delegate* unmanaged<int*, int> DriverGetVersion = (delegate* unmanaged<int*, int>)Need(find, "cuDriverGetVersion");
    public readonly delegate* unmanaged<int*, int> DeviceGetCount = (delegate* unmanaged<int*, int>)Need(find, "cuDeviceGetCount");
    public readonly delegate* unmanaged<int*, int, int> DeviceGet = (delegate* unmanaged<int*, int, int>)Need(find, "cuDeviceGet");
    public readonly delegate* unmanaged<byte*, int, int, int> DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)Need(find, "cuDeviceGetName");
    public readonly delegate* unmanaged<int*, int, int, int> DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Need(find, "cuDeviceGetAttribute");
    public readonly delegate* unmanaged<nint*, int, int> PrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)Need(find, "cuDevicePrimaryCtxRetain");
    public readonly delegate* unmanaged<int, int> PrimaryCtxRelease = (delegate* unmanaged<int, int>)Need(find, "cuDevicePrimaryCtxRelease_v2");
    public readonly delegate* unmanaged<nint, int> CtxSetCurrent = (delegate* unmanaged<nint, int>)Need(find, "cuCtxSetCurrent");
    public readonly delegate* unmanaged<int> CtxSynchronize = (delegate* unmanaged<int>)Need(find, "cuCtxSynchronize");
    public readonly delegate* unmanaged<nuint*, nuint*, int> MemGetInfo = (delegate* unmanaged<nuint*, nuint*, int>)Need(find, "cuMemGetInfo_v2");
    public readonly delegate* unmanaged<ulong*, nuint, int> MemAlloc = (delegate* unmanaged<ulong*, nuint, int>)Need(find, "cuMemAlloc_v2");
    public readonly delegate* unmanaged<ulong, int> MemFree = (delegate* unmanaged<ulong, int>)Need(find, "cuMemFree_v2");
    public readonly delegate* unmanaged<void**, nuint, uint, int> MemHostAlloc = (delegate* unmanaged<void**, nuint, uint, int>)Need(find, "cuMemHostAlloc");
    public readonly delegate* unmanaged<void*, int> MemFreeHost = (delegate* unmanaged<void*, int>)Need(find, "cuMemFreeHost");
    public readonly delegate* unmanaged<void*, nuint, uint, int> MemHostRegister = (delegate* unmanaged<void*, nuint, uint, int>)Need(find, "cuMemHostRegister_v2");
    public readonly delegate* unmanaged<void*, int> MemHostUnregister = (delegate* unmanaged<void*, int>)Need(find, "cuMemHostUnregister");
    public readonly delegate* unmanaged<ulong, void*, nuint, nint, int> MemcpyHtoDAsync = (delegate* unmanaged<ulong, void*, nuint, nint, int>)Need(find, "cuMemcpyHtoDAsync_v2");
    public readonly delegate* unmanaged<void*, ulong, nuint, nint, int> MemcpyDtoHAsync = (delegate* unmanaged<void*, ulong, nuint, nint, int>)Need(find, "cuMemcpyDtoHAsync_v2");
    public readonly delegate* unmanaged<ulong, ulong, nuint, nint, int> MemcpyDtoDAsync = (delegate* unmanaged<ulong, ulong, nuint, nint, int>)Need(find, "cuMemcpyDtoDAsync_v2");
    public readonly delegate* unmanaged<nint*, uint, int> StreamCreate = (delegate* unmanaged<nint*, uint, int>)Need(find, "cuStreamCreate");
    public readonly delegate* unmanaged<nint, int> StreamSynchronize = (delegate* unmanaged<nint, int>)Need(find, "cuStreamSynchronize");
    public readonly delegate* unmanaged<nint, nint, uint, int> StreamWaitEvent = (delegate* unmanaged<nint, nint, uint, int>)Need(find, "cuStreamWaitEvent");
    public readonly delegate* unmanaged<nint, int> StreamDestroy = (delegate* unmanaged<nint, int>)Need(find, "cuStreamDestroy_v2");
    public readonly delegate* unmanaged<nint*, uint, int> EventCreate = (delegate* unmanaged<nint*, uint, int>)Need(find, "cuEventCreate");
    public readonly delegate* unmanaged<nint, nint, int> EventRecord = (delegate* unmanaged<nint, nint, int>)Need(find, "cuEventRecord");
    public readonly delegate* unmanaged<nint, int> EventQuery = (delegate* unmanaged<nint, int>)Need(find, "cuEventQuery");
    public readonly delegate* unmanaged<nint, int> EventSynchronize = (delegate* unmanaged<nint, int>)Need(find, "cuEventSynchronize");
    public readonly delegate* unmanaged<nint, int> EventDestroy = (delegate* unmanaged<nint, int>)Need(find, "cuEventDestroy_v2");
    public readonly delegate* unmanaged<nint*, void*, uint, int*, void**, int> ModuleLoadDataEx = (delegate* unmanaged<nint*, void*, uint, int*, void**, int>)Need(find, "cuModuleLoadDataEx");
    public readonly delegate* unmanaged<nint, int> ModuleUnload = (delegate* unmanaged<nint, int>)Need(find, "cuModuleUnload");
    public readonly delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Need(find, "cuModuleGetFunction");
    public readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> LaunchKernel =
        (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Need(find, "cuLaunchKernel");

    private readonly delegate* unmanaged<int, byte**, int> _getErrorName = (delegate* unmanaged<int, byte**, int>)Need(find, "cuGetErrorName");

    /// <summary>Loads the library of the driver that is installed.</summary>
    /// <exception cref="DeviceException">There is none, or it is too old.</exception>
    public static CudaDriver Load()
    {
        if (!NativeLibrary.TryLoad(Library, out var library))
        {
            throw new DeviceException(DeviceError.NoDevice, $"This machine has no NVIDIA driver: {Library} cannot be loaded.");
        }

        return new CudaDriver(name => NativeLibrary.TryGetExport(library, name, out var address) ? address : 0);
    }

    /// <summary>Refuses any result but success.</summary>
    /// <exception cref="DeviceException">With call, code and name of the error.</exception>
    public void Check(int result, string call)
    {
        if (result != Success)
        {
            throw Failure(result, call);
        }
    }

    public DeviceException Failure(int result, string call) =>
        new(result == OutOfMemory ? DeviceError.OutOfMemory : DeviceError.Driver, $"{call} failed with {result} ({NameOf(result)}).");

    private static nint Need(Func<string, nint> find, string name) =>
        find(name) is not 0 and var address ? address : throw new DeviceException(DeviceError.NoDevice, $"The NVIDIA driver of this machine has no {name}: it is too old.");

    private string NameOf(int result)
    {
        byte* name;
        return _getErrorName(result, &name) == Success && name != null ? Marshal.PtrToStringUTF8((nint)name)! : "an unknown error";
    }
}
