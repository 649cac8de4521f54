using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Worker.Devices.Cuda;

namespace KvMesh.Worker.Tests.Devices;

/// <summary>
/// The entry points of the NVIDIA driver over memory of this process, for tests: it computes what the driver would, at once, and refuses what the driver refuses. That
/// calls, order and arguments are right can be tested without a GPU; whether kernels compile, and how fast anything is, cannot.
/// </summary>
internal static unsafe class MemoryDriver
{
    private const int InvalidValue = 1;
    private const int InvalidContext = 201;
    private const int InvalidHandle = 400;
    private const int AlreadyRegistered = 712;
    private const int NotRegistered = 713;
    private const nint Context = 0x1000;
    private const nint GatherFunction = 0x2001;
    private const nint ScatterFunction = 0x2002;
    private const long TotalBytes = 1L << 30;

    private static readonly Lock Guard = new();
    private static readonly Dictionary<ulong, long> Allocated = [];
    private static readonly Dictionary<nint, long> Pinned = [];
    private static readonly Dictionary<nint, (long Bytes, uint Flags)> Registered = [];
    private static readonly HashSet<nint> Handles = [];
    private static nint _lastHandle = 0x5000;
    private static int _retained;

    [ThreadStatic]
    private static nint _current;

    public static bool RegistersReadOnly { get; set; } = true;

    /// <summary>What cuMemHostRegister answers; 0: it registers.</summary>
    public static int RegisterResult { get; set; }

    /// <summary>What waits for an event answer; 0: it is done.</summary>
    public static int EventResult { get; set; }

    /// <summary>Most slices that were registered at once, and flags of the last.</summary>
    public static (int Most, uint Flags) Registrations { get; private set; }

    /// <summary>What was made and not given back.</summary>
    public static int Left => Allocated.Count + Pinned.Count + Registered.Count + Handles.Count + _retained;

    public static CudaDriver Create() => new(Find);

    public static void Reset()
    {
        (RegistersReadOnly, RegisterResult, EventResult, Registrations) = (true, 0, 0, default);
    }

    public static nint Find(string name) => name switch
    {
        "cuInit" => (nint)(delegate* unmanaged<uint, int>)&Init,
        "cuDriverGetVersion" => (nint)(delegate* unmanaged<int*, int>)&GetOne,
        "cuDeviceGetCount" => (nint)(delegate* unmanaged<int*, int>)&GetOne,
        "cuDeviceGet" => (nint)(delegate* unmanaged<int*, int, int>)&DeviceGet,
        "cuDeviceGetName" => (nint)(delegate* unmanaged<byte*, int, int, int>)&DeviceGetName,
        "cuDeviceGetAttribute" => (nint)(delegate* unmanaged<int*, int, int, int>)&DeviceGetAttribute,
        "cuDevicePrimaryCtxRetain" => (nint)(delegate* unmanaged<nint*, int, int>)&Retain,
        "cuDevicePrimaryCtxRelease_v2" => (nint)(delegate* unmanaged<int, int>)&Release,
        "cuCtxSetCurrent" => (nint)(delegate* unmanaged<nint, int>)&SetCurrent,
        "cuCtxSynchronize" => (nint)(delegate* unmanaged<int>)&Synchronize,
        "cuMemGetInfo_v2" => (nint)(delegate* unmanaged<nuint*, nuint*, int>)&GetInfo,
        "cuMemAlloc_v2" => (nint)(delegate* unmanaged<ulong*, nuint, int>)&Alloc,
        "cuMemFree_v2" => (nint)(delegate* unmanaged<ulong, int>)&Free,
        "cuMemHostAlloc" => (nint)(delegate* unmanaged<void**, nuint, uint, int>)&HostAlloc,
        "cuMemFreeHost" => (nint)(delegate* unmanaged<void*, int>)&FreeHost,
        "cuMemHostRegister_v2" => (nint)(delegate* unmanaged<void*, nuint, uint, int>)&Register,
        "cuMemHostUnregister" => (nint)(delegate* unmanaged<void*, int>)&Unregister,
        "cuMemcpyHtoDAsync_v2" => (nint)(delegate* unmanaged<ulong, void*, nuint, nint, int>)&ToDevice,
        "cuMemcpyDtoHAsync_v2" => (nint)(delegate* unmanaged<void*, ulong, nuint, nint, int>)&ToHost,
        "cuMemcpyDtoDAsync_v2" => (nint)(delegate* unmanaged<ulong, ulong, nuint, nint, int>)&Within,
        "cuStreamCreate" or "cuEventCreate" => (nint)(delegate* unmanaged<nint*, uint, int>)&CreateHandle,
        "cuStreamSynchronize" or "cuEventSynchronize" or "cuEventQuery" => (nint)(delegate* unmanaged<nint, int>)&Await,
        "cuStreamWaitEvent" => (nint)(delegate* unmanaged<nint, nint, uint, int>)&WaitEvent,
        "cuEventRecord" => (nint)(delegate* unmanaged<nint, nint, int>)&Record,
        "cuStreamDestroy_v2" or "cuEventDestroy_v2" or "cuModuleUnload" => (nint)(delegate* unmanaged<nint, int>)&Destroy,
        "cuModuleLoadDataEx" => (nint)(delegate* unmanaged<nint*, void*, uint, int*, void**, int>)&LoadModule,
        "cuModuleGetFunction" => (nint)(delegate* unmanaged<nint*, nint, byte*, int>)&GetFunction,
        "cuLaunchKernel" => (nint)(delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)&Launch,
        "cuGetErrorName" => (nint)(delegate* unmanaged<int, byte**, int>)&ErrorName,
        _ => 0,
    };

    [UnmanagedCallersOnly]
    private static int Init(uint flags) => flags == 0 ? 0 : InvalidValue;

    [UnmanagedCallersOnly]
    private static int GetOne(int* value)
    {
        *value = 1;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int DeviceGet(int* device, int ordinal)
    {
        *device = ordinal + 40;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int DeviceGetName(byte* name, int bytes, int device)
    {
        "memory for tests\0"u8.CopyTo(new Span<byte>(name, bytes));
        return device == 40 ? 0 : InvalidValue;
    }

    [UnmanagedCallersOnly]
    private static int DeviceGetAttribute(int* value, int attribute, int device)
    {
        *value = RegistersReadOnly ? 1 : 0;
        return attribute == 113 && device == 40 ? 0 : InvalidValue;
    }

    [UnmanagedCallersOnly]
    private static int Retain(nint* context, int device)
    {
        *context = Context;
        _retained++;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Release(int device)
    {
        _retained--;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int SetCurrent(nint context)
    {
        _current = context;
        return context == Context ? 0 : InvalidContext;
    }

    [UnmanagedCallersOnly]
    private static int Synchronize() => _current == Context ? 0 : InvalidContext;

    [UnmanagedCallersOnly]
    private static int GetInfo(nuint* free, nuint* total)
    {
        lock (Guard)
        {
            *total = (nuint)TotalBytes;
            *free = (nuint)(TotalBytes - Allocated.Values.Sum());
            return _current == Context ? 0 : InvalidContext;
        }
    }

    [UnmanagedCallersOnly]
    private static int Alloc(ulong* address, nuint bytes)
    {
        lock (Guard)
        {
            if (_current != Context)
            {
                return InvalidContext;
            }

            if ((long)bytes > TotalBytes - Allocated.Values.Sum())
            {
                return CudaDriver.OutOfMemory;
            }

            *address = (ulong)NativeMemory.AlignedAlloc(bytes, 256);
            Allocated.Add(*address, (long)bytes);
            return 0;
        }
    }

    [UnmanagedCallersOnly]
    private static int Free(ulong address)
    {
        lock (Guard)
        {
            if (_current != Context || !Allocated.Remove(address))
            {
                return InvalidValue;
            }

            NativeMemory.AlignedFree((void*)address);
            return 0;
        }
    }

    [UnmanagedCallersOnly]
    private static int HostAlloc(void** start, nuint bytes, uint flags)
    {
        lock (Guard)
        {
            *start = NativeMemory.AlignedAlloc(bytes, 4096);
            Pinned.Add((nint)(*start), (long)bytes);
            return _current == Context ? 0 : InvalidContext;
        }
    }

    [UnmanagedCallersOnly]
    private static int FreeHost(void* start)
    {
        lock (Guard)
        {
            if (_current != Context || !Pinned.Remove((nint)start))
            {
                return InvalidValue;
            }

            NativeMemory.AlignedFree(start);
            return 0;
        }
    }

    [UnmanagedCallersOnly]
    private static int Register(void* start, nuint bytes, uint flags)
    {
        lock (Guard)
        {
            if (RegisterResult != 0)
            {
                return RegisterResult;
            }

            if (Registered.Any(range => (nint)start < range.Key + (nint)range.Value.Bytes && range.Key < (nint)start + (nint)bytes))
            {
                return AlreadyRegistered;
            }

            Registered.Add((nint)start, ((long)bytes, flags));
            Registrations = (Math.Max(Registrations.Most, Registered.Count), flags);
            return _current == Context ? 0 : InvalidContext;
        }
    }

    [UnmanagedCallersOnly]
    private static int Unregister(void* start)
    {
        lock (Guard)
        {
            return _current == Context && Registered.Remove((nint)start) ? 0 : NotRegistered;
        }
    }

    [UnmanagedCallersOnly]
    private static int ToDevice(ulong target, void* source, nuint bytes, nint stream)
    {
        lock (Guard)
        {
            // As the driver: a copy lies in one registration or in none.
            var (first, last) = ((nint)source, (nint)source + (nint)bytes);
            var crosses = Registered.Any(range => first < range.Key + (nint)range.Value.Bytes && range.Key < last
                && !(range.Key <= first && last <= range.Key + (nint)range.Value.Bytes));
            if (crosses || !IsInside(target, bytes) || !Handles.Contains(stream) || _current != Context)
            {
                return InvalidValue;
            }
        }

        Buffer.MemoryCopy(source, (void*)target, bytes, bytes);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int ToHost(void* target, ulong source, nuint bytes, nint stream)
    {
        lock (Guard)
        {
            if (!IsInside(source, bytes) || !Handles.Contains(stream) || _current != Context)
            {
                return InvalidValue;
            }
        }

        Buffer.MemoryCopy((void*)source, target, bytes, bytes);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Within(ulong target, ulong source, nuint bytes, nint stream)
    {
        lock (Guard)
        {
            if (!IsInside(source, bytes) || !IsInside(target, bytes) || !Handles.Contains(stream) || _current != Context)
            {
                return InvalidValue;
            }
        }

        Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int CreateHandle(nint* handle, uint flags) => NewHandle(handle);

    [UnmanagedCallersOnly]
    private static int Await(nint handle)
    {
        lock (Guard)
        {
            return _current != Context ? InvalidContext : !Handles.Contains(handle) ? InvalidHandle : EventResult;
        }
    }

    [UnmanagedCallersOnly]
    private static int WaitEvent(nint stream, nint awaited, uint flags) => AreHandles(stream, awaited);

    [UnmanagedCallersOnly]
    private static int Record(nint recorded, nint stream) => AreHandles(stream, recorded);

    [UnmanagedCallersOnly]
    private static int Destroy(nint handle)
    {
        lock (Guard)
        {
            return _current == Context && Handles.Remove(handle) ? 0 : InvalidHandle;
        }
    }

    [UnmanagedCallersOnly]
    private static int LoadModule(nint* module, void* text, uint count, int* options, void** values)
    {
        var source = Marshal.PtrToStringUTF8((nint)text)!;
        return source.Contains(".entry gather_pages(", StringComparison.Ordinal) && count == 0 ? NewHandle(module) : 218;
    }

    [UnmanagedCallersOnly]
    private static int GetFunction(nint* function, nint module, byte* name)
    {
        *function = Marshal.PtrToStringUTF8((nint)name) switch
        {
            "gather_pages" => GatherFunction,
            "scatter_pages" => ScatterFunction,
            _ => 0,
        };
        return *function == 0 ? 500 : 0;
    }

    /// <summary>What the kernels of pages.cu do, thread by thread put together.</summary>
    [UnmanagedCallersOnly]
    private static int Launch(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream, void** parameters, void** extra)
    {
        var (flat, pages, pageBytes) = (*(ulong*)parameters[0], *(ulong*)parameters[1], *(ulong*)parameters[2]);
        if (gridX == 0 || gridY > PageKernels.MaxPages || gridZ * blockX * blockY * blockZ != 256 || _current != Context || extra != null)
        {
            return InvalidValue;
        }

        lock (Guard)
        {
            for (var place = 0u; place < gridY; place++)
            {
                var (one, other) = (flat + (place * pageBytes), pages + ((uint*)parameters[3])[place] * pageBytes);
                if (!IsInside(one, (nuint)pageBytes) || !IsInside(other, (nuint)pageBytes) || !Handles.Contains(stream))
                {
                    return 700;
                }

                var (target, source) = function == GatherFunction ? (one, other) : (other, one);
                Buffer.MemoryCopy((void*)source, (void*)target, pageBytes, pageBytes);
            }
        }

        return 0;
    }

    [UnmanagedCallersOnly]
    private static int ErrorName(int error, byte** name)
    {
        // Literals live as long as the program.
        *name = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(error switch
        {
            CudaDriver.OutOfMemory => "CUDA_ERROR_OUT_OF_MEMORY\0"u8,
            700 => "CUDA_ERROR_ILLEGAL_ADDRESS\0"u8,
            801 => "CUDA_ERROR_NOT_SUPPORTED\0"u8,
            _ => "CUDA_ERROR_OF_TESTS\0"u8,
        }));
        return 0;
    }

    private static int NewHandle(nint* handle)
    {
        lock (Guard)
        {
            *handle = ++_lastHandle;
            Handles.Add(*handle);
            return _current == Context ? 0 : InvalidContext;
        }
    }

    private static int AreHandles(nint one, nint other)
    {
        lock (Guard)
        {
            return _current == Context && Handles.Contains(one) && Handles.Contains(other) ? 0 : InvalidHandle;
        }
    }

    private static bool IsInside(ulong start, nuint bytes) =>
        Allocated.Any(range => start >= range.Key && start + bytes <= range.Key + (ulong)range.Value);
}
