using System.Collections;
using System.Reflection;

namespace KvMesh.Server.Options;

/// <summary>
/// Puts text into typed options, by the names of their properties. What does not fit is reported and the rest goes on, so
/// that an operator sees every mistake at once.
/// </summary>
internal sealed class OptionBinder(List<string> errors)
{
    /// <summary>Options that follow from others and are not the operator's to set.</summary>
    private static readonly string[] Derived = ["Engine:DataDirectory"];

    private readonly Dictionary<string, string> _sources = new(StringComparer.Ordinal);

    /// <summary>Where each option that was set came from, by full name.</summary>
    public IReadOnlyDictionary<string, string> Sources => _sources;

    public void Bind(object target, OptionSection section, string path = "")
    {
        var properties = PropertiesOf(target, path);
        foreach (var (name, child) in section.Children)
        {
            var property = properties.FirstOrDefault(candidate => candidate.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
            if (property is null)
            {
                ReportUnknown(path, name, child, properties);
                continue;
            }

            BindProperty(target, property, child, Join(path, property.Name));
        }
    }

    /// <summary>Every single option of a tree of options: full name, property, owner.</summary>
    public static IEnumerable<(string Name, PropertyInfo Property, object Owner)> Leaves(object target, string path = "")
    {
        foreach (var property in PropertiesOf(target, path))
        {
            var name = Join(path, property.Name);
            if (IsGroup(property.PropertyType))
            {
                foreach (var leaf in Leaves(property.GetValue(target)!, name))
                {
                    yield return leaf;
                }
            }
            else if (ElementOf(property.PropertyType) is { } element && element != typeof(string))
            {
                var index = 0;
                foreach (var item in (IEnumerable)property.GetValue(target)!)
                {
                    foreach (var leaf in Leaves(item, $"{name}:{index}"))
                    {
                        yield return leaf;
                    }

                    index++;
                }
            }
            else
            {
                yield return (name, property, target);
            }
        }
    }

    public static string Join(string path, string name) => path.Length == 0 ? name : $"{path}:{name}";

    private static List<PropertyInfo> PropertiesOf(object target, string path) =>
    [
        .. target.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.CanRead && !Derived.Contains(Join(path, property.Name))),
    ];

    private static bool IsGroup(Type type) =>
        type.IsClass && type != typeof(string) && type.Namespace?.StartsWith("KvMesh", StringComparison.Ordinal) == true;

    private static Type? ElementOf(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IList<>) ? type.GetGenericArguments()[0] : null;

    private void BindProperty(object target, PropertyInfo property, OptionSection section, string path)
    {
        if (IsGroup(property.PropertyType))
        {
            Bind(property.GetValue(target)!, section, path);
            ReportTextOfGroup(section, path);
        }
        else if (ElementOf(property.PropertyType) is { } element)
        {
            BindList((IList)property.GetValue(target)!, element, section, path);
        }
        else if (section.Children.Count > 0)
        {
            errors.Add($"{path} is a single value; it has no parts such as {section.Children.Keys.First()}.");
        }
        else if (section.Text is { } text)
        {
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (OptionValues.TryParse(type, text.Value, out var value, out var expected))
            {
                property.SetValue(target, value);
                _sources[path] = text.Source;
            }
            else
            {
                errors.Add($"{path} is \"{text.Value}\" ({text.Source}); it must be {expected}.");
            }
        }
    }

    private void BindList(IList list, Type element, OptionSection section, string path)
    {
        if (element == typeof(string))
        {
            IEnumerable<OptionText> items = section.Text is { } joined
                ? joined.Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(item => joined with { Value = item })
                : Ordered(section).Select(child => child.Text).OfType<OptionText>();
            foreach (var item in items)
            {
                list.Add(item.Value);
                _sources[path] = item.Source;
            }

            return;
        }

        ReportTextOfGroup(section, path);
        foreach (var child in Ordered(section))
        {
            var item = Activator.CreateInstance(element)!;
            Bind(item, child, $"{path}:{list.Count}");
            list.Add(item);
        }
    }

    private static IEnumerable<OptionSection> Ordered(OptionSection section) => section.Children
        .OrderBy(child => int.TryParse(child.Key, out var index) ? index : int.MaxValue)
        .Select(child => child.Value);

    private void ReportTextOfGroup(OptionSection section, string path)
    {
        if (section.Text is { } text)
        {
            errors.Add($"{path} is \"{text.Value}\" ({text.Source}); it is a group of options, not a value.");
        }
    }

    private void ReportUnknown(string path, string name, OptionSection section, List<PropertyInfo> known)
    {
        var source = FirstText(section)?.Source ?? "file";
        var place = path.Length == 0 ? "Options" : path;
        errors.Add($"{Join(path, name)} is unknown ({source}). {place} has {string.Join(", ", known.Select(property => property.Name))}.");
    }

    private static OptionText? FirstText(OptionSection section) =>
        section.Text ?? section.Children.Values.Select(FirstText).FirstOrDefault(text => text is not null);
}
