using sf from '../db/schema';

@path: '/odata/v4/sf'
@requires: 'authenticated-user'
service SFService {
  @cds.query.limit: { default: 10, max: 20 }
  entity User              as projection on sf.User;
  entity EmpEmployment     as projection on sf.EmpEmployment;
  entity EmpJob            as projection on sf.EmpJob;
  entity Photo             as projection on sf.Photo;
  entity FODepartment      as projection on sf.FODepartment;
  @cds.query.limit: { default: 7, max: 7 }
  entity A_BusinessPartner as projection on sf.A_BusinessPartner;
  entity A_Customer        as projection on sf.A_Customer;
}
